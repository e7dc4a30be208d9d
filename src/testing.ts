import { abortCases } from './testing/abort.js'
import type { ConformanceCase } from './testing/case.js'
import { concurrencyCases } from './testing/concurrency.js'
import { copyCases } from './testing/copy.js'
import { deleteCases } from './testing/delete.js'
import { errorCases } from './testing/errors.js'
import { etagCases } from './testing/etag.js'
import { listCases } from './testing/list.js'
import { metadataCases } from './testing/metadata.js'
import { nameCases } from './testing/names.js'
import { readCases } from './testing/read.js'
import { saveCases } from './testing/save.js'
import { signedUploadCases } from './testing/signed-upload.js'
import { signedUrlCases } from './testing/signed-url.js'
import { streamCases } from './testing/streams.js'
import { uploadRuleCases } from './testing/upload-rules.js'

export type { ConformanceCase, ConformanceHarness } from './testing/case.js'

/**
 * What every storage promises, one case each, for any test runner: a backend of your own is proven by running all of
 * them. They stand on `node:assert` alone, each makes storages of its own, and they may run side by side. Two take
 * a few seconds where signed addresses work, to see them expire.
 *
 * @example
 * import { conformanceCases, type ConformanceHarness } from 'stowage/testing'
 * import { describe, it } from 'node:test'
 *
 * const harness: ConformanceHarness = { makeStorage: async () => new MyStorage(await freshBucket()), signedUrls: 'http' }
 * describe('MyStorage', () => {
 *   for (const { name, run } of conformanceCases) it(name, () => run(harness))
 * })
 */
export const conformanceCases: readonly ConformanceCase[] = Object.freeze([
  ...nameCases,
  ...saveCases,
  ...streamCases,
  ...uploadRuleCases,
  ...readCases,
  ...metadataCases,
  ...etagCases,
  ...listCases,
  ...deleteCases,
  ...copyCases,
  ...concurrencyCases,
  ...abortCases,
  ...errorCases,
  ...signedUrlCases,
  ...signedUploadCases,
])
