import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import {
  compare,
  diagnose,
  MemoryStorage,
  migrate,
  mirror,
  type OperationEvent,
  orphans,
  prefixed,
  type Storage,
  usage,
} from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { BUSY, first, setUpR2 } from '../integration/r2-setup.js'
import { STORAGES } from './storages.js'

const channel = tracingChannel<OperationEvent>('stowage:operation')
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** The steps of each call, in order, and the calls themselves as they ended. */
function listen() {
  const steps: string[] = []
  const ended: OperationEvent[] = []
  const on = (step: string) => (event: OperationEvent) => {
    steps.push(`${step} ${event.operation}`)
    if (step === 'asyncEnd') ended.push({ ...event })
  }
  const subscribers = {
    start: on('start'),
    end: on('end'),
    asyncStart: on('asyncStart'),
    asyncEnd: on('asyncEnd'),
    error: on('error'),
  }
  channel.subscribe(subscribers)
  closing.push(() => channel.unsubscribe(subscribers))
  return { steps, ended }
}

async function drain(files: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of files);
}

describe.each(STORAGES)('the channel on %s', (_, make) => {
  it('has one event for each public call', async () => {
    const { storage, close } = await make()
    closing.push(close)
    const { ended } = listen()
    await storage.save('a/ä.txt', 'hello')
    await (await storage.open('a/ä.txt', { range: { offset: 1 } })).text()
    await storage.exists('none')
    await assert.rejects(storage.stat('none'))
    await assert.rejects(storage.save('a/ä.txt', 'x', { ifExists: 'error' }))
    await storage.copy('a/ä.txt', 'b.txt')
    await storage.move('b.txt', 'c.txt')
    await drain(storage.list('a'))
    await storage.listdir()
    await storage.signedUrl('c.txt')
    await storage.signedUpload('d.txt', { size: 1, contentType: 'text/plain' })
    await storage.delete('c.txt')
    await storage.deleteMany(['c.txt'])
    await storage.deletePrefix('a')
    assert.deepEqual(
      ended.map(({ operation, file, bytes, outcome }) => [operation, file, bytes, outcome]),
      [
        ['save', 'a/ä.txt', 5, 'ok'],
        ['open', 'a/ä.txt', 4, 'ok'],
        ['exists', 'none', undefined, 'ok'],
        ['stat', 'none', undefined, 'NotFound'],
        ['save', 'a/ä.txt', undefined, 'AlreadyExists'],
        ['copy', 'a/ä.txt', undefined, 'ok'],
        ['move', 'b.txt', undefined, 'ok'],
        ['list', 'a', undefined, 'ok'],
        ['listdir', '', undefined, 'ok'],
        ['signedUrl', 'c.txt', undefined, 'ok'],
        ['signedUpload', 'd.txt', undefined, 'ok'],
        ['delete', 'c.txt', undefined, 'ok'],
        ['deleteMany', undefined, undefined, 'ok'],
        ['deletePrefix', 'a', undefined, 'ok'],
      ],
    )
    for (const event of ended) assert.equal(event.storage, String(storage))
    const told = inspect(ended)
    assert.doesNotMatch(told, /signature|X-Amz|hello/i)
  })
})

describe('the channel', () => {
  it('goes through the steps of a tracing channel', async () => {
    const { steps } = listen()
    const storage = new MemoryStorage()
    await storage.exists('a')
    await assert.rejects(storage.size('a'))
    assert.deepEqual(steps, [
      'start exists',
      'end exists',
      'asyncStart exists',
      'asyncEnd exists',
      'start size',
      'end size',
      'error size',
      'asyncStart size',
      'asyncEnd size',
    ])
  })

  it('ends a listing when it ends, is left, fails or is aborted', async () => {
    const { ended } = listen()
    const storage = new MemoryStorage()
    await storage.save('a', 'x')
    await storage.save('b', 'x')
    for await (const _ of storage.list()) break
    await assert.rejects(drain(storage.list('../a')))
    await assert.rejects(drain(storage.list('', { signal: AbortSignal.abort() })))
    assert.deepEqual(
      ended.slice(2).map(({ operation, outcome }) => [operation, outcome]),
      [
        ['list', 'ok'],
        ['list', 'InvalidName'],
        ['list', 'Aborted'],
      ],
    )
  })

  it('has the operations on storages as well, and one event through wrappers', async () => {
    const { ended } = listen()
    const storage: Storage = prefixed(prefixed(new MemoryStorage(), 'a'), 'b')
    await storage.save('x', 'y')
    await usage(storage)
    assert.deepEqual(
      ended.map(({ operation, storage: by }) => [operation, by]),
      [
        ['save', 'MemoryStorage/a/b'],
        ['list', 'MemoryStorage/a/b'],
        ['usage', 'MemoryStorage/a/b'],
      ],
    )
  })

  it('has one event for each function that works on files one by one, however it ends', async () => {
    const [source, target] = [new MemoryStorage(), prefixed(new MemoryStorage(), 't')]
    await source.save('a', 'x')
    await source.save('b', 'x')
    const { ended } = listen()
    await migrate(source, target)
    await mirror(source, target, { targetPrefix: 'backup', maxDeletes: 5 })
    await assert.rejects(migrate(source, target, { concurrency: 0 }))
    const failure = new Error('mine')
    const onProgress = () => {
      throw failure
    }
    await assert.rejects(migrate(source, target, { onProgress }), (error) => error === failure)
    for await (const _ of compare(source, target)) break
    await drain(orphans(source, (names) => names, { olderThan: 0 }))
    await assert.rejects(drain(diagnose(source, { signal: AbortSignal.abort() })))
    const own = new Set(['migrate', 'mirror', 'compare', 'orphans', 'diagnose'])
    assert.deepEqual(
      ended
        .filter(({ operation }) => own.has(operation))
        .map(({ operation, storage, file, outcome }) => [operation, storage, file || undefined, outcome]),
      [
        ['migrate', 'MemoryStorage/t', undefined, 'ok'],
        ['mirror', 'MemoryStorage/t', 'backup', 'ok'],
        ['migrate', 'MemoryStorage/t', undefined, 'InvalidArgument'],
        ['migrate', 'MemoryStorage/t', undefined, 'Unknown'],
        ['compare', 'MemoryStorage/t', undefined, 'ok'],
        ['orphans', 'MemoryStorage', undefined, 'ok'],
        ['diagnose', 'MemoryStorage', undefined, 'Aborted'],
      ],
    )
  })

  it('tells with the first item what is wrong with a storage, not at the call', async () => {
    listen()
    const broken = new Proxy(new MemoryStorage(), {
      get: (storage, property) => {
        if (property === Symbol.for('stowage.driver')) throw new Error('misconfigured')
        return Reflect.get(storage, property)
      },
    })
    const items = orphans(broken, (names) => names)[Symbol.asyncIterator]()
    await assert.rejects(items.next(), /misconfigured/)
  })

  it('keeps the query of an address to itself that somebody takes for a name', async () => {
    const { ended } = listen()
    const addresses = ['https://cdn.example.com/a.png', ' https://cdn.example.com/a.png', '/uploads/a.png']
    for (const address of addresses)
      await assert.rejects(new MemoryStorage().open(`${address}?signature=secret`))
    assert.deepEqual(
      ended.map(({ file }) => file),
      addresses,
    )
  })

  it('says that an error of a content is not ours', async () => {
    const { ended } = listen()
    const broken = async function* () {
      yield 'x'
      throw Object.assign(new Error('mine'), { code: 'NotFound' })
    }
    await assert.rejects(new MemoryStorage().save('a', broken()), /mine/)
    assert.equal(ended[0]?.outcome, 'Unknown')
  })

  it('says nothing when nobody listens, nor to who came later', async () => {
    const storage = new MemoryStorage()
    const saving = storage.save('a', 'x')
    const { ended } = listen()
    await saving
    assert.deepEqual(ended, [])
  })
})

describe.each([true, false])('attempts on R2 (fastPath %s)', (fastPath) => {
  const r2 = setUpR2(fastPath)

  it('are the requests of each call, also of calls side by side', async () => {
    const storage = r2.storage()
    const { ended } = listen()
    r2.server.behaviour.onRequest = first('PutObject', BUSY, 2)
    await storage.save('a', 'x')
    await Promise.all([storage.exists('a'), storage.exists('b'), drain(storage.list())])
    const attempts = ended.map((event) => [event.operation, event.file, event.attempts])
    assert.deepEqual(attempts[0], ['save', 'a', 3])
    assert.deepEqual(
      new Map(attempts.slice(1).map(([, file, count]) => [file, count])),
      new Map([
        ['a', 1],
        ['b', 1],
        ['', 1],
      ]),
    )
  })
})
