// Measures small operations: all contestants in one process, in turns. The speed of a machine changes over time; within
// one round the contestants are measured shortly after each other, so they can be compared.

const MAX_OPERATIONS = 6000
/** The share of a turn that runs before the clock starts: see `turn`. */
const RUN_IN = 1 / 3

/**
 * @param {Record<string, (index: number) => Promise<unknown>>} contestants  name to one operation
 * @param {{ rounds: number, turnMs: number, minimum: number, concurrency: number, before?: (name: string, count: number) => unknown,
 *   after?: (name: string) => unknown }} options  `turnMs`: about the CPU time of one contestant's turn;
 *   `minimum`: the least number of operations
 * @returns {Promise<Record<string, { cpu: number[], wall: number[], operations: number }>>} µs an operation, by round
 */
export async function measureInTurns(contestants, { rounds, turnMs, minimum, concurrency, before, after }) {
  const names = Object.keys(contestants)
  const results = {}
  let index = 0

  async function turn(name, operations) {
    const runIn = Math.ceil(operations * RUN_IN)
    const start = index
    index += runIn + operations
    await before?.(name, start, runIn + operations)
    globalThis.gc?.()
    const operate = contestants[name]
    let next = start
    const runUntil = async (end) => {
      while (next < end) await operate(next++)
    }
    const run = (end) => Promise.all(Array.from({ length: concurrency }, () => runUntil(end)))
    // A collection discards compiled code that was unused for a while, and shrinks the heap. Without this run-in, a
    // contestant with more code would be measured while it is compiled again. A running server does not do that.
    await run(start + runIn)
    const cpuBefore = process.cpuUsage()
    const wallBefore = process.hrtime.bigint()
    await run(start + runIn + operations)
    const wall = Number(process.hrtime.bigint() - wallBefore) / 1000
    const { user, system } = process.cpuUsage(cpuBefore)
    await after?.(name)
    return { cpu: (user + system) / operations, wall: wall / operations }
  }

  // The warm-up compiles the code and opens the connections. Then it finds how many operations fill a turn.
  for (const name of names) {
    await turn(name, minimum)
    const { cpu, wall } = await turn(name, minimum * 2)
    // Counts CPU time, so that a busy machine does not shorten the measurement. Waiting (`fsync`) is bounded as well.
    const fitting = Math.round((turnMs * 1000) / Math.max(cpu, wall / 4))
    const operations = Math.min(MAX_OPERATIONS, Math.max(minimum, fitting))
    await turn(name, operations)
    results[name] = { cpu: [], wall: [], operations }
  }
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < names.length; place++) {
      const name = names[(place + round) % names.length]
      const { cpu, wall } = await turn(name, results[name].operations)
      results[name].cpu.push(cpu)
      results[name].wall.push(wall)
    }
  }
  return results
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}
