import { HEADERS } from '../../src/headers.js'
import { type OptionNames, SAVE_OPTIONS } from '../../src/options.js'
import type { Attributes, SaveOptions } from '../../src/types.js'

/** Checked by the compiler alone: no line may be missing where a header is listed. */
export function doesNotCompile(attributes: Attributes): void {
  const { contentLanguage: _, ...rest } = HEADERS
  // @ts-expect-error A header of FileHeaders is not in the table.
  const incomplete: typeof HEADERS = rest
  // @ts-expect-error A header of the table is not in FileHeaders.
  const unknown: typeof HEADERS = { ...HEADERS, accessControl: HEADERS.contentLanguage }
  // @ts-expect-error A header that is not in FileHeaders is not an option of save.
  const options: SaveOptions = { accessControl: 'x' }
  const { contentLanguage: __, ...fewer } = SAVE_OPTIONS
  // @ts-expect-error An option of save is not among those that are known.
  const names: OptionNames<SaveOptions> = fewer
  // @ts-expect-error A header that is not in FileHeaders is not an attribute.
  const value: unknown = attributes.accessControl
  void [incomplete, unknown, options, names, value]
}
