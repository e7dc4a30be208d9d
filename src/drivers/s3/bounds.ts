import { clearTimeout, setTimeout } from '../../timers.js'

/** Bytes that are read of an answer that is not a file. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024

/** An answer is larger than any of an S3 server. */
export function tooLong(): Error {
  return new Error('the answer is too long')
}

/** No answer came in time. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ETIMEDOUT'

  constructor(milliseconds: number) {
    super(`no answer within ${milliseconds} ms`)
  }
}

/** Settles as `work` does, or rejects with a {@link TimeoutError} after a while. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(milliseconds)), milliseconds)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits for a clean-up, but not long: an abort is to end promptly. */
export async function withinASecond(work: Promise<unknown>): Promise<void> {
  await within(1000, work).catch(() => {})
}

/** The outcome of `work`, or the abort if that comes first. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) onAbort()
  })
}
