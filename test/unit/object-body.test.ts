/** When the body of an object is judged too slow: by a clock of our own, for no server keeps to one. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, it, vi } from 'vitest'
import { RestingReaders } from '../../src/drivers/resting-readers.js'
import { ObjectBody } from '../../src/drivers/s3/body.js'

// The package keeps Node's timers; here they are those of the test.
vi.mock('../../src/timers.js', () => ({
  setInterval: (...given: Parameters<typeof setInterval>) => setInterval(...given),
  clearInterval: (timer: NodeJS.Timeout) => clearInterval(timer),
  setTimeout: (...given: Parameters<typeof setTimeout>) => setTimeout(...given),
  clearTimeout: (timer: NodeJS.Timeout) => clearTimeout(timer),
}))

/** Milliseconds; in as many, 204,800 bytes are to come. */
const PERIOD = 200_000
/** More than a stream wants at a time, and too few for a period. */
const CHUNK = 100_000

beforeEach(
  () => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] }),
)
afterEach(() => void vi.useRealTimers())

/** A body on its way to a reader, with what the test needs to be both sides. */
function open() {
  const arriving = () => Object.assign(new Readable({ read() {} }), { hasArrived: false })
  const source = arriving()
  const resumed: number[] = []
  const stream = new ObjectBody(source, {
    range: { offset: 0, length: 10_000_000 },
    reopen: async (offset: number) => {
      resumed.push(offset)
      return arriving()
    },
    signal: undefined,
    readers: new RestingReaders(PERIOD * 10, Number.POSITIVE_INFINITY),
    patience: PERIOD,
  }).stream()
  stream.read(0)
  return { source, stream, resumed }
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

async function deliver(source: Readable, bytes: number): Promise<void> {
  source.push(Buffer.alloc(bytes))
  await settle()
}

/** The reader takes all that has come, and wants more. */
async function take(stream: Readable): Promise<void> {
  while (stream.read() !== null);
  await settle()
}

async function pass(periods: number): Promise<void> {
  vi.advanceTimersByTime(periods * PERIOD)
  await settle()
}

describe('the body of an object', () => {
  it('is too slow where a reader waits for it', async () => {
    const { source, stream, resumed } = open()
    await deliver(source, 100)
    await take(stream)
    await pass(1)
    assert.deepEqual(resumed, [100])
  })

  it('is not judged in a period in which its reader rested', async () => {
    const { source, stream, resumed } = open()
    await deliver(source, CHUNK)
    assert.ok(source.isPaused(), 'the reader rests')
    await take(stream)
    assert.ok(!source.isPaused(), 'the reader goes on')
    await pass(1)
    assert.deepEqual(resumed, [])
    // From here on the reader waits.
    await pass(1)
    assert.deepEqual(resumed, [CHUNK])
  })

  it('is not judged in a period that began while its reader rested', async () => {
    const { source, stream, resumed } = open()
    await deliver(source, CHUNK)
    await pass(1)
    assert.ok(source.isPaused(), 'the reader rests')
    await take(stream)
    await deliver(source, 10)
    await take(stream)
    await pass(1)
    assert.deepEqual(resumed, [])
    await pass(1)
    assert.deepEqual(resumed, [CHUNK + 10])
  })
})
