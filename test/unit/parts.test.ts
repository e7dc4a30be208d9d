import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { PartReader, partSizeFor } from '../../src/drivers/s3/parts.js'

async function* chunksOf(bytes: Uint8Array, lengths: Iterable<number>): AsyncGenerator<Uint8Array> {
  let start = 0
  for (const length of lengths) {
    if (start >= bytes.byteLength) return
    yield bytes.subarray(start, start + length)
    start += length
  }
  if (start < bytes.byteLength) yield bytes.subarray(start)
}

/** Parts are released late, as uploads that run side by side do. */
async function partsOf(reader: PartReader): Promise<Buffer[]> {
  const parts: Buffer[] = []
  const held: (() => void)[] = []
  for (let part = await reader.next(); part !== null; part = await reader.next()) {
    parts.push(Buffer.from(part.bytes))
    held.push(part.release)
    if (held.length > 2) held.shift()?.()
  }
  return parts
}

describe('the parts of a content', () => {
  it('are at most 10,000, however large it is', () => {
    const MIB = 2 ** 20
    const body = (size: number | undefined) => ({
      size,
      bytes: undefined,
      replayable: false,
      chunks: () => chunksOf(Buffer.alloc(0), []),
    })
    assert.equal(partSizeFor(body(undefined), 8 * MIB), 8 * MIB)
    assert.equal(partSizeFor(body(80_000 * MIB), 8 * MIB), 8 * MIB)
    assert.ok(partSizeFor(body(5 * 2 ** 40), 8 * MIB) * 10_000 >= 5 * 2 ** 40)
    assert.throws(() => partSizeFor(body(5 * 2 ** 40 + 1), 8 * MIB), { code: 'InvalidArgument' })
  })

  it('are of equal size but for the last, and together the content, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 20_000 }),
        fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5_000 }))),
        fc.integer({ min: 1, max: 7_000 }),
        fc.boolean(),
        async (bytes, lengths, partSize, lookFirst) => {
          const reader = new PartReader(chunksOf(bytes, lengths), partSize)
          const whole = lookFirst ? await reader.whole() : null
          if (lookFirst) assert.equal(whole !== null, bytes.byteLength <= partSize)
          const parts = whole === null ? await partsOf(reader) : [Buffer.from(whole)]
          assert.ok(Buffer.concat(parts).equals(bytes))
          if (whole !== null) return
          for (const part of parts.slice(0, -1)) assert.equal(part.byteLength, partSize)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('take no more memory than the content where it comes byte by byte', async () => {
    const MIB = 1024 * 1024
    const bytes = Buffer.alloc(MIB, 'x')
    const reader = new PartReader(chunksOf(bytes, ones()), 8 * MIB)
    const before = process.memoryUsage()
    const whole = await reader.whole()
    const after = process.memoryUsage()
    assert.ok(whole && Buffer.from(whole).equals(bytes))
    // Each chunk kept as an object of its own would be more than 90 MiB.
    assert.ok(after.rss - before.rss < 60 * MIB, `${(after.rss - before.rss) / MIB} MiB`)
  })
})

function* ones(): Generator<number> {
  for (;;) yield 1
}
