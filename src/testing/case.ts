import assert from 'node:assert/strict'
import { toError } from '../errors.js'
import type { Storage } from '../storage.js'

/** What a backend's author provides, so that the cases can be run against it. */
export interface ConformanceHarness {
  /** A storage with nothing in it, a different one for every call: a fresh folder, bucket or prefix. */
  makeStorage(): Promise<Storage>
  /**
   * `'http'`: what `signedUrl` and `signedUpload` give out can be fetched over HTTP from this process.
   * `'unsupported'`: both reject with the code `Unsupported`, and the cases assert it.
   */
  signedUrls: 'http' | 'unsupported'
  /** Storages of one case that may be in use at a time. Default 4; 1 where a new storage replaces the one before. */
  concurrency?: number
}

/** One promise of the contract, as a test for any runner. */
export interface ConformanceCase {
  /** What the user gets; unique. */
  readonly name: string
  /** Rejects with an `AssertionError` where the storage breaks the promise. Cases may run side by side. */
  run(harness: ConformanceHarness): Promise<void>
}

/** What a case does with a storage of its own. */
export type Check = (storage: Storage, harness: ConformanceHarness) => Promise<void>

/** Makes the cases of one theme from a table of what the user gets. */
export function cases(theme: string, checks: Readonly<Record<string, Check>>): ConformanceCase[] {
  return Object.entries(checks).map(([title, check]) => ({
    name: `${theme}: ${title}`,
    run: async (harness) => check(await harness.makeStorage(), harness),
  }))
}

/**
 * Makes one case of many rows, several at a time. A row finds its storage empty and must leave it empty. The failure
 * names every row that failed.
 */
export function caseOfMany<T>(
  name: string,
  rows: readonly T[],
  label: (row: T) => string,
  check: (row: T, ...given: Parameters<Check>) => Promise<void>,
): ConformanceCase {
  const run = async (harness: ConformanceHarness) => {
    const queue = rows.values()
    const failures: string[] = []
    const worker = async () => {
      let storage = await harness.makeStorage()
      for (const row of queue) {
        try {
          await check(row, storage, harness)
        } catch (error) {
          failures.push(`${label(row)}: ${toError(error).message}`)
          storage = await harness.makeStorage() // Who knows what is left in the other one.
        }
      }
    }
    const workers = Math.min(harness.concurrency ?? CONCURRENCY, rows.length)
    await Promise.all(Array.from({ length: workers }, worker))
    if (failures.length === 0) return
    const shown = failures.slice(0, SHOWN_FAILURES).join('\n')
    throw new assert.AssertionError({ message: `${failures.length} of ${rows.length} failed:\n${shown}` })
  }
  return { name, run }
}

const CONCURRENCY = 4
const SHOWN_FAILURES = 10
