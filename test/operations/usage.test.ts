import assert from 'node:assert/strict'
import { MemoryStorage, monthlyCost, type Storage, usage } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { listing, STORAGES } from './storages.js'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

describe.each(STORAGES)('usage on %s', (_, make) => {
  it('counts files by folder, type and month', async () => {
    const { storage, age, close } = await make()
    closing.push(close)
    await storage.save('root.bin', Buffer.alloc(1))
    await storage.save('documents/1/a.pdf', Buffer.alloc(100))
    await storage.save('documents/2/b.PDF', Buffer.alloc(200))
    await storage.save('documents/top.txt', Buffer.alloc(5))
    await storage.save('voice_notes/1/a.ogg', Buffer.alloc(10))
    await age('documents/1/a.pdf', 70 * 86_400)
    const found = await usage(storage)
    assert.deepEqual([found.files, found.bytes, found.invalidNames], [5, 316, 0])
    assert.deepEqual(found.folders, [
      { name: 'documents', files: 3, bytes: 305 },
      { name: 'voice_notes', files: 1, bytes: 10 },
      { name: '', files: 1, bytes: 1 },
    ])
    assert.deepEqual(found.types, [
      { name: 'application/pdf', files: 2, bytes: 300 },
      { name: 'audio/ogg', files: 1, bytes: 10 },
      { name: 'text/plain', files: 1, bytes: 5 },
      { name: 'application/octet-stream', files: 1, bytes: 1 },
    ])
    assert.deepEqual(
      found.months.map(({ files, bytes }) => [files, bytes]),
      [
        [1, 100],
        [4, 216],
      ],
    )
    assert.match(found.months[0]?.month ?? '', /^\d{4}-\d\d$/)
    assert.equal(found.largest[0]?.name, 'documents/2/b.PDF')
    assert.equal(found.oldest[0]?.name, 'documents/1/a.pdf')
    const part = await usage(storage, { prefix: 'documents/', depth: 1 })
    assert.deepEqual(part.folders, [
      { name: 'documents/2', files: 1, bytes: 200 },
      { name: 'documents/1', files: 1, bytes: 100 },
      { name: 'documents', files: 1, bytes: 5 },
    ])
  })
})

describe('usage', () => {
  const at = (name: string, size = 1, day = 0) => ({ name, size, lastModified: new Date(day * 86_400_000) })

  it.each([
    [0, ['']],
    [1, ['a', '']],
    [2, ['a/b', 'a', '']],
    [9, ['a/b/c', 'a/b', 'a', '']],
  ])('tells folders apart to depth %i', async (depth, names) => {
    const files = [at('a/b/c/x', 100), at('a/b/x', 30), at('a/x', 8), at('x', 1)]
    const { folders } = await usage(listing(files), { depth })
    assert.deepEqual(
      folders.map(({ name }) => name),
      names,
    )
  })

  it('keeps the ten largest and the ten oldest', async () => {
    const files = Array.from({ length: 500 }, (_, index) =>
      at(`f${String(index).padStart(3, '0')}`, (index * 7919) % 500, (index * 6151) % 500),
    )
    const { largest, oldest } = await usage(listing(files))
    assert.deepEqual(
      largest.map(({ size }) => size),
      [499, 498, 497, 496, 495, 494, 493, 492, 491, 490],
    )
    assert.deepEqual(
      oldest.map(({ lastModified }) => lastModified.getTime() / 86_400_000),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
  })

  it('counts files of times that no calendar has', async () => {
    const files = [Number.NaN, 9e12 * 1000, Date.UTC(12_000, 1), Date.UTC(-1, 1), Date.UTC(2024, 1, 29)].map(
      (time, index) => ({ name: `f${index}`, size: 1, lastModified: new Date(time) }),
    )
    const { months, oldest } = await usage(listing(files))
    assert.deepEqual(months, [
      { month: '2024-02', files: 1, bytes: 1 },
      { month: 'unknown', files: 4, bytes: 4 },
    ])
    assert.deepEqual(
      oldest.map(({ name }) => name),
      ['f3', 'f4', 'f2'],
    )
  })

  it('says how many files it could not name', async () => {
    const found = await usage(listing([at('a'), at('a//b', 5)]))
    assert.deepEqual([found.files, found.bytes, found.invalidNames], [1, 1, 1])
  })

  it('is empty for nothing', async () => {
    assert.deepEqual(await usage(new MemoryStorage(), { prefix: 'none' }), {
      files: 0,
      bytes: 0,
      folders: [],
      types: [],
      months: [],
      largest: [],
      oldest: [],
      invalidNames: 0,
    })
  })

  it.each([{ depth: -1 }, { depth: 1.5 }, { depth: 'all' }, { dpeth: 1 }, null])(
    'refuses %j',
    async (options) => {
      const given = options as Parameters<typeof usage>[1]
      await assert.rejects(usage(new MemoryStorage(), given), { code: 'InvalidArgument', operation: 'usage' })
    },
  )

  it('refuses what is no storage, a bad prefix, and an aborted signal', async () => {
    await assert.rejects(usage({} as Storage), { code: 'InvalidArgument', operation: 'usage' })
    await assert.rejects(usage(new MemoryStorage(), { prefix: '../x' }), {
      code: 'InvalidName',
      operation: 'usage',
      storage: 'MemoryStorage',
    })
    await assert.rejects(usage(new MemoryStorage(), { signal: AbortSignal.abort('enough') }), {
      code: 'Aborted',
      operation: 'usage',
      cause: 'enough',
    })
  })
})

describe('monthlyCost', () => {
  const nothing = { reads: 0, writes: 0, egressGb: 0 }

  it('costs nothing within the free tier of R2', () => {
    const { r2 } = monthlyCost({ bytes: 10e9 }, { reads: 10e6, writes: 1e6, egressGb: 1e6 })
    assert.deepEqual(r2, { storage: 0, reads: 0, writes: 0, egress: 0, total: 0 })
  })

  it.each([
    [10e9 + 1, 0.015],
    [11e9, 0.015],
    [11e9 + 1, 0.03],
    [11.1e9, 0.03],
    [1010e9, 15],
  ])('bills %d bytes by the gigabyte on R2', (bytes, dollars) => {
    assert.equal(monthlyCost({ bytes }, nothing).r2.storage, dollars)
  })

  it('bills requests by the million on R2', () => {
    const { r2 } = monthlyCost({ bytes: 0 }, { reads: 11_000_001, writes: 2_000_001, egressGb: 0 })
    assert.deepEqual([r2.reads, r2.writes, r2.total], [0.72, 9, 9.72])
  })

  it('has a number for every number', () => {
    const most = Number.MAX_VALUE / 1e3
    const { r2, s3 } = monthlyCost({ bytes: most }, { reads: most, writes: most, egressGb: most })
    for (const cost of [...Object.values(r2), ...Object.values(s3)]) assert.ok(Number.isFinite(cost))
    assert.equal(r2.egress, 0)
  })

  it('bills S3 by what is used, with its steps and its free egress', () => {
    const { s3 } = monthlyCost({ bytes: 51_000e9 }, { reads: 2e6, writes: 1e5, egressGb: 20_100 })
    assert.deepEqual(s3, {
      storage: 50_000 * 0.023 + 1000 * 0.022,
      reads: 0.8,
      writes: 0.5,
      egress: 10_000 * 0.09 + 10_000 * 0.085,
      total: 1172 + 0.8 + 0.5 + 1750,
    })
    assert.equal(monthlyCost({ bytes: 0 }, { ...nothing, egressGb: 100 }).s3.egress, 0)
  })

  it.each([
    { ...nothing, reads: -1 },
    { ...nothing, writes: Number.NaN },
    { reads: 1, writes: 1 },
    undefined,
  ])('refuses %j', (traffic) => {
    const given = traffic as Parameters<typeof monthlyCost>[1]
    assert.throws(() => monthlyCost({ bytes: 1 }, given), {
      code: 'InvalidArgument',
      operation: 'monthlyCost',
    })
  })
})
