import { driverOf, isStorage, type Storage } from './storage.js'
import { eventOf, isObserved, observe, observeItems } from './telemetry.js'

/** Runs a call on a storage as one event of the channel `stowage:operation`. Its errors stay as they are. */
export async function observed<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!isObserved() || !isStorage(storage)) return work()
  return observe(eventOf(operation, driverOf(storage).label, file), work)
}

/** The same for a call that gives items one by one. */
export function observedItems<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  items: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  return isObserved() && isStorage(storage) ? observing(operation, storage, file, items) : items
}

/** The default storage may be misconfigured, which is told with the first item. */
async function* observing<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  items: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  yield* observeItems(eventOf(operation, driverOf(storage).label, file ?? ''), items)
}
