/** Calls of `work` that run side by side. */
const CONCURRENCY = 16

/** Some at a time. When this rejects, nothing of it is running any more. */
export async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values()
  const workers = Array.from({ length: Math.min(CONCURRENCY, items.length) }, async () => {
    for (const item of queue) await work(item)
  })
  await Promise.allSettled(workers)
  await Promise.all(workers)
}
