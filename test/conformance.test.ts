import assert from 'node:assert/strict'
import { MemoryStorage } from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'

interface Backend {
  readonly name: string
  /** Called once, before the first case. */
  makeHarness(): ConformanceHarness | Promise<ConformanceHarness>
  /** Called once, after the last case. */
  close?(): Promise<void>
}

/** Every backend, one entry each. */
const BACKENDS: readonly Backend[] = [
  {
    name: 'MemoryStorage',
    makeHarness: () => ({ makeStorage: async () => new MemoryStorage(), signedUrls: 'unsupported' }),
  },
  {
    name: 'MemoryStorage with a prefix',
    makeHarness: () => ({
      makeStorage: async () => new MemoryStorage({ prefix: 'deep/prefix' }),
      signedUrls: 'unsupported',
    }),
  },
]

it('every case has a name of its own', () => {
  const names = conformanceCases.map((testCase) => testCase.name)
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  )
})

describe.each(BACKENDS)('$name', ({ makeHarness, close }) => {
  let harness: ConformanceHarness
  beforeAll(async () => {
    harness = await makeHarness()
  })
  afterAll(() => close?.())

  // Each case has storages of its own, so they may run side by side: most of the time goes into waiting for servers.
  for (const { name, run } of conformanceCases) it.concurrent(name, () => run(harness))
})
