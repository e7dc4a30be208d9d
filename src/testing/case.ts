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
