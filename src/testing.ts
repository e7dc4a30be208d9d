/**
 * For tests: the promises of every storage as test cases, and a strict stand-in for R2 without an account.
 *
 * @module stowage/testing
 */

import { abortCases } from './testing/abort.js'
import { acceptCases } from './testing/accept.js'
import type { ConformanceCase } from './testing/case.js'
import { concurrencyCases } from './testing/concurrency.js'
import { copyCases } from './testing/copy.js'
import { deleteCases } from './testing/delete.js'
import { directUploadCases } from './testing/direct-uploads.js'
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
import { teeCases } from './testing/tee.js'
import { uploadRuleCases } from './testing/upload-rules.js'

export type { ConformanceCase, ConformanceHarness } from './testing/case.js'
export {
  type LocalR2,
  type LocalR2Options,
  type LocalR2Variable,
  startLocalR2,
} from './testing/start-local-r2.js'

/**
 * Every promise of a storage as a test case, for any test runner: run all of them to prove a backend of your own. They
 * need `node:assert` alone. Each makes its own storages, so they may run side by side. Two take a few seconds where
 * signed addresses work, to see them expire. Those of names try up to 40 names each: give them a minute on a slow server.
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
  ...teeCases,
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
  ...acceptCases,
  ...directUploadCases,
])
