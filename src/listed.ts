import type { StorageDriver } from './driver.js'
import { isName, toFolder } from './names.js'
import { explain } from './operation.js'
import { checkOptions, LIST_OPTIONS, toOnInvalidName, toSignal } from './options.js'
import { finish, start, within } from './telemetry.js'
import type { ListedFile, ListOptions } from './types.js'

/** `Storage.list` in batches: a step of an async generator for each file costs more than the rest of the listing. */
export async function* listed(
  driver: StorageDriver,
  prefix: string,
  options: ListOptions,
): AsyncIterable<readonly ListedFile[]> {
  const event = start('list', driver.label, prefix)
  let signal: AbortSignal | undefined
  let failure: { readonly error: unknown } | undefined
  try {
    signal = toSignal(options)
    const folder = toFolder(prefix, true)
    checkOptions(options, LIST_OPTIONS)
    const onInvalidName = toOnInvalidName(options)
    signal?.throwIfAborted()
    const batches = driver.list(folder, signal)
    for await (const batch of event ? within(event, batches) : batches) {
      let files: ListedFile[] = []
      for (const { name, size, lastModified, etag } of batch) {
        if (isName(name)) files.push({ name, size, lastModified, etag })
        else if (onInvalidName) {
          // Told in its place among the others.
          if (files.length > 0) yield files
          files = []
          onInvalidName(name)
        }
      }
      if (files.length > 0) yield files
      signal?.throwIfAborted()
    }
  } catch (error) {
    failure = { error: explain(driver, error, 'list', prefix, signal) }
    throw failure.error
  } finally {
    if (event) finish(event, failure)
  }
}
