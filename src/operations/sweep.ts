import { sweepBelow } from '../driver.js'
import { ABORT_OPTIONS, toCutoff } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'
import { type Operation, run } from './run.js'

/** Options of {@link sweep}. */
export interface SweepOptions extends AbortOptions {
  /**
   * Seconds since something was begun or written before it counts as left by a crash. It must be more than the longest
   * save takes: what a running save of any process has made is removed as well. Default 604,800 (a week).
   */
  olderThan?: number | undefined
}

/** The result of {@link sweep}. */
export interface SweepResult {
  /** Temporary files, sidecars, uploads, probes and placeholders that were removed. */
  removed: number
}

const SWEEP: Operation<SweepOptions> = { name: 'sweep', known: { ...ABORT_OPTIONS, olderThan: true } }

/**
 * Removes what crashes leave: nobody sees it, but it takes space, and a placeholder holds a name. For a nightly job.
 *
 * - Everywhere: direct uploads that were given up.
 * - On disk: temporary files, and the sidecars of files that were replaced or deleted by other programs. The sidecar of a
 *   missing file is marked first and removed by a sweep `olderThan` seconds later, because a mount may be away for a while.
 * - On R2 and S3: open multipart uploads, also those of other programs; probes; placeholders. Costs a listing.
 *
 * Of a `prefixed` storage only what is below its folder. A `readThrough` storage sweeps the storage that it writes to.
 *
 * @throws {StorageError} `InvalidArgument` for the option; `PermissionDenied` of a `readOnly` storage; `Unsupported` of a
 * backend that cannot tell.
 * @example const { removed } = await sweep(defaultStorage)
 */
export async function sweep(storage: Storage, options: SweepOptions = {}): Promise<SweepResult> {
  return run(SWEEP, storage, options, async (signal, driver) => {
    return { removed: await sweepBelow(driver, '', toCutoff(options.olderThan), signal) }
  })
}
