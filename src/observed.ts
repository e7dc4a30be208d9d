import { driverOf, isStorage, type Storage } from './storage.js'
import { eventOf, finish, isObserved, observe, start, within } from './telemetry.js'

/** Runs a call on a storage as one event of the channel `stowage:operation`. Its errors stay as they are. */
export async function observed<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!isObserved() || !isStorage(storage)) return work()
  return observe(eventOf(operation, driverOf(storage).label, file), async (event) => {
    try {
      const result = await work()
      finish(event)
      return result
    } catch (error) {
      finish(event, { error })
      throw error
    }
  })
}

/** The same for a call that gives items one by one. It ends when they end, fail or are left. */
export function observedItems<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  items: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  return isObserved() && isStorage(storage) ? observeItems(operation, storage, file, items) : items
}

async function* observeItems<T>(
  operation: string,
  storage: Storage,
  file: string | undefined,
  items: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  const event = start(operation, driverOf(storage).label, file ?? '')
  let failure: { readonly error: unknown } | undefined
  try {
    yield* event ? within(event, items) : items
  } catch (error) {
    failure = { error }
    throw error
  } finally {
    if (event) finish(event, failure)
  }
}
