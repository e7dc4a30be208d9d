import type { Check, CheckResult } from '../checks.js'
import { checksOf } from '../driver.js'
import { Problem } from '../errors.js'
import { observedItems } from '../observed.js'
import { explain } from '../operation.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toSignal } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'
import { addressChecks } from './checks/addresses.js'
import { fileChecks } from './checks/files.js'
import { runChecks } from './checks/run.js'
import { speedChecks } from './checks/speed.js'
import { Trial } from './checks/trial.js'
import { toDriver } from './run.js'

/** Options of {@link diagnose}. */
export interface DiagnoseOptions extends AbortOptions {
  /**
   * The origin of pages that upload, such as `https://app.example.com`: an upload is tried as a browser of theirs does it.
   * Default: only the bucket's CORS rules are read.
   */
  origin?: string | undefined
  /** Milliseconds for one check, 1 to 600,000. Default 30,000. */
  timeout?: number | undefined
}

const OPTIONS: OptionNames<DiagnoseOptions> = { ...ABORT_OPTIONS, origin: true, timeout: true }
const LONGEST = 600_000

/**
 * Finds out why a storage does not work, by using it: the server or the disk below it, its settings, files, public and
 * signed addresses, speed. Each check gives one record, as it ends. What cannot be tried because of an earlier failure is
 * skipped, so that one cause gives one failure. Failures are records; only an abort or wrong options reject.
 *
 * Writes into a new folder `stowage-check-…` of its own, and removes it, also when the loop is left early. A `readOnly`
 * storage is not written to. No record holds a secret or a signed address.
 *
 * @throws {StorageError} `InvalidArgument` for options, `Aborted`.
 * @example
 * for await (const { check, status, message, remedy } of diagnose(defaultStorage)) {
 *   if (status !== 'ok') console.log(status, check, message, remedy ?? '')
 * }
 */
export function diagnose(
  storage: Storage,
  options: DiagnoseOptions = {},
): AsyncGenerator<CheckResult, void, undefined> {
  return observedItems('diagnose', storage, undefined, diagnosing(storage, options))
}

async function* diagnosing(
  storage: Storage,
  options: DiagnoseOptions,
): AsyncGenerator<CheckResult, void, undefined> {
  const driver = toDriver('diagnose', storage)
  let signal: AbortSignal | undefined
  let trial: Trial | undefined
  try {
    signal = toSignal(options)
    checkOptions(options, OPTIONS)
    const { timeout = 30_000, origin } = options
    if (!Number.isSafeInteger(timeout) || timeout < 1 || timeout > LONGEST) {
      throw new Problem(
        'InvalidArgument',
        `timeout must be a whole number of milliseconds from 1 to ${LONGEST}`,
      )
    }
    if (origin !== undefined && !/^https?:\/\/[^/?#\s'"`]+$/.test(origin)) {
      throw new Problem('InvalidArgument', 'origin must be one such as "https://app.example.com"')
    }
    signal?.throwIfAborted()
    trial = new Trial(storage)
    const own = await checksOf(driver)
    const checks = combined(own, [
      ...fileChecks(trial),
      ...addressChecks(trial, origin),
      ...speedChecks(trial),
    ])
    yield* runChecks(checks, { signal, timeout, folder: trial.folder, writable: true })
  } catch (error) {
    throw explain(driver, error, 'diagnose', undefined, signal)
  } finally {
    await trial?.end()
  }
}

/** The driver may have the place of a general check. Whether a page may upload is tried rather than read. */
function combined(own: readonly Check[], general: readonly Check[]): Check[] {
  const triesCors = general.some(({ check }) => check === 'cors')
  const kept = own.filter(({ check }) => !(triesCors && check === 'cors'))
  const taken = new Set(kept.map(({ check }) => check))
  return [...kept, ...general.filter(({ check }) => !taken.has(check))]
}
