/** Requests that may run side by side: enough to hide the way to a server. */
const AT_ONCE = 16

/** A result, or why there is none. */
export type Outcome<Result> = { readonly result: Result } | { readonly error: unknown }

/** Does a work for many items, some at a time, and gives what came of it in the order of the items. */
export async function* inOrder<Item, Result>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<Result>,
): AsyncIterable<readonly [Item, Outcome<Result>]> {
  const running: Promise<readonly [Item, Outcome<Result>]>[] = []
  const begin = async (item: Item): Promise<readonly [Item, Outcome<Result>]> => {
    try {
      return [item, { result: await work(item) }]
    } catch (error) {
      return [item, { error }]
    }
  }
  for (const item of items) {
    running.push(begin(item))
    const [first] = running
    if (running.length < AT_ONCE || first === undefined) continue
    yield first
    running.shift()
  }
  yield* running
}
