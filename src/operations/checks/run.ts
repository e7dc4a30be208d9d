import {
  type Check,
  type CheckOutcome,
  type CheckRequest,
  type CheckResult,
  failed,
  skipped,
} from '../../checks.js'
import { isProblem, isStorageError, reasonOf } from '../../errors.js'
import { either } from '../../signals.js'
import { sleep } from '../../timers.js'

/** Milliseconds that a check has to clean up after an abort. */
const GRACE = 1_000

/** One run of some checks, in order. */
export interface ChecksRun extends Omit<CheckRequest, 'signal'> {
  readonly signal: AbortSignal | undefined
  /** Milliseconds for one check. */
  readonly timeout: number
}

/**
 * Runs checks, each within its time. A check without what it needs is skipped, so that one cause gives one failure. An
 * abort rejects; all else is a record.
 */
export async function* runChecks(
  checks: readonly Check[],
  { signal, timeout, folder, writable }: ChecksRun,
): AsyncGenerator<CheckResult> {
  const done = new Map<string, CheckOutcome>()
  let blocked: string | undefined
  for (const each of checks) {
    const { group, check, needs, essential } = each
    signal?.throwIfAborted()
    const missing = needs.find((name) => isMissing(done.get(name))) ?? blocked
    const cause = missing === undefined ? undefined : done.get(missing)
    const outcome =
      missing === undefined
        ? await within(timeout, signal, async (both) => each.run({ folder, writable, signal: both }))
        : cause?.status === 'skipped'
          ? skipped(cause.message)
          : skipped(`Not checked, because "${missing}" failed.`)
    // A chain of skipped checks names the one failure that it comes from.
    done.set(check, outcome)
    if (essential && outcome.status === 'failed') blocked ??= check
    yield { group, check, ...outcome }
  }
}

function isMissing(outcome: CheckOutcome | undefined): boolean {
  return outcome?.status === 'failed' || outcome?.status === 'skipped'
}

/** Some systems ignore a signal, such as a network disk that does not answer: they are not waited for. */
async function within(
  timeout: number,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<CheckOutcome>,
): Promise<CheckOutcome> {
  const deadline = AbortSignal.timeout(timeout)
  const both = either(signal, deadline)
  const stopped = new Promise<never>((_, reject) => {
    both.addEventListener('abort', () => reject(both.reason), { once: true })
  })
  stopped.catch(() => {})
  const running = run(both)
  try {
    return await Promise.race([running, stopped])
  } catch (error) {
    // It may have something to take away again.
    if (both.aborted) await Promise.race([running.catch(() => {}), sleep(GRACE, undefined, { ref: false })])
    if (signal?.aborted) throw signal.reason
    if (deadline.aborted) {
      return failed(
        `There was no result within ${timeout / 1000} s.`,
        'Try again. If it stays, check the network, or give the check more time by the option timeout.',
      )
    }
    return failed(`It failed: ${explained(error)}.`, 'Correct what the message names, and try again.')
  }
}

/** The words of an error of this package. Others may name anything. */
export function explained(error: unknown): string {
  if (isStorageError(error)) return reasonOf(error)
  return isProblem(error) ? error.message : 'an unexpected error'
}
