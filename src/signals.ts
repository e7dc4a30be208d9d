import { setMaxListeners } from 'node:events'

/** Many operations may share one signal, of which Node 20 would warn as a leak. */
export function allowManyListeners(signal: AbortSignal): void {
  try {
    setMaxListeners(0, signal)
  } catch {
    // A signal of jsdom or a polyfill, which Node does not watch.
  }
}

/** A signal that is aborted with any of the two. */
export function either(signal: AbortSignal | undefined, other: AbortSignal): AbortSignal {
  if (signal === undefined) return other
  if (signal instanceof AbortSignal && other instanceof AbortSignal) return AbortSignal.any([signal, other])
  // A signal of another realm or of a polyfill: Node 20 takes it, and never hears of its abort. Such signals are as
  // short-lived as their requests, so the listeners may stay.
  return joined(signal, other)
}

function joined(...signals: readonly AbortSignal[]): AbortSignal {
  const controller = new AbortController()
  const abort = () => {
    for (const signal of signals) signal.removeEventListener('abort', abort)
    controller.abort(signals.find((signal) => signal.aborted)?.reason)
  }
  for (const signal of signals) signal.addEventListener('abort', abort)
  if (signals.some((signal) => signal.aborted)) abort()
  return controller.signal
}
