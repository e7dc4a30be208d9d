import { describe, it } from 'node:test'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { MapStorage } from './map-storage.js'

const harness: ConformanceHarness = {
  makeStorage: async () => new MapStorage(), // a new, empty one each time: a fresh folder, bucket or prefix
  signedUrls: 'unsupported',
}

describe('MapStorage', () => {
  for (const { name, run } of conformanceCases) it(name, () => run(harness))
})
