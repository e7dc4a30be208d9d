import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import {
  defaultStorage,
  driverOf,
  FileSystemStorage,
  type FileSystemStorageOptions,
  MemoryStorage,
  prefixed,
  R2Storage,
  readOnly,
  readThrough,
  S3Storage,
  Storage,
  setDefaultStorage,
} from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { afterAll, beforeAll, describe, inject, it } from 'vitest'
import { hasFile } from '../src/driver.js'
import { PurgingDriver } from '../src/wrappers/purging.js'
import { type FileServer, startFileServer } from './servers/files.js'
import { AS_R2, optionsOf, startStrictR2 } from './servers/r2.js'
import { altered } from './unit/altered.js'
import { halfMoved } from './unit/half-moved.js'

interface Backend {
  readonly name: string
  /** Called once, before the first case. */
  makeHarness(): ConformanceHarness | Promise<ConformanceHarness>
  /** Called once, after the last case. */
  close?(): Promise<void>
  /** Cases run one after the other, since they share something. Default false. */
  readonly serial?: boolean
}

/** A folder and the start of all addresses: each storage of a backend has its own. */
interface Place {
  readonly folder: string
  readonly baseUrl: string
}

/** A storage on nothing but memory and the disk, whose addresses lead to a server of this process. */
function made(name: string, makeStorage: (place: Place) => Storage): Backend {
  let root: string
  let server: FileServer
  return {
    name,
    makeHarness: async () => {
      root = await mkdtemp(join(tmpdir(), 'stowage-conformance-'))
      server = await startFileServer()
      return {
        signedUrls: 'http',
        makeStorage: async () =>
          server.serve((baseUrl, id) => makeStorage({ folder: join(root, id), baseUrl })),
      }
    },
    close: async () => {
      await server.stop()
      await rm(root, { recursive: true })
    },
  }
}

const disk = ({ folder, baseUrl }: Place, options: FileSystemStorageOptions = { fsync: false }) =>
  new FileSystemStorage({ ...options, location: folder, baseUrl })
const memory = ({ baseUrl }: Place) => new MemoryStorage({ baseUrl })

/** Everything is read by way of `readOnly`, and written past it. */
function readThroughReadOnly(place: Place): Storage {
  const storage = memory(place)
  const reading = driverOf(readOnly(storage))
  return altered(storage, () => ({
    label: reading.label,
    read: (request) => reading.read(request),
    head: (...given) => reading.head(...given),
    has: (...given) => hasFile(reading, ...given),
    list: (...given) => reading.list(...given),
    listdir: (...given) => reading.listdir(...given),
    locate: (name) => reading.locate(name),
    sign: (request) => reading.sign(request),
    verify: (address) => driverOf(storage).verify?.(address),
    classify: (error) => reading.classify(error),
  }))
}

/** As `R2Storage` with the option `purge`. */
class Purged extends Storage {
  constructor(storage: Storage) {
    super(new PurgingDriver(driverOf(storage), async () => {}))
  }
}

/** R2 by the strict stand-in; without a prefix each storage has a server, and so a bucket, of its own. */
function onR2(prefixed: boolean, fastPath: boolean): Backend {
  const servers: Awaited<ReturnType<typeof startStrictR2>>[] = []
  let made = 0
  return {
    name: `R2Storage ${prefixed ? 'with' : 'without'} a prefix, fast path ${fastPath ? 'on' : 'off'}`,
    makeHarness: () => ({
      signedUrls: 'http',
      makeStorage: async () => {
        let [server] = servers
        if (server === undefined || !prefixed) {
          server = await startStrictR2()
          servers.push(server)
        }
        const prefix = prefixed ? `${++made}/ä b` : ''
        return new R2Storage({
          ...optionsOf(server),
          ...AS_R2,
          bucket: server.bucket().name,
          prefix,
          fastPath,
        })
      },
    }),
    close: async () => {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

function onCeph(prefixed: boolean, fastPath: boolean): Backend {
  const ceph = inject('ceph')
  if (!ceph) throw new Error('Ceph is not running')
  const options = { ...ceph, region: 'us-east-1', fastPath }
  const client = new S3Client({
    endpoint: ceph.endpoint,
    region: 'us-east-1',
    credentials: { ...ceph },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  const run = `conformance-${process.pid}-${prefixed ? 'prefix' : 'plain'}-${fastPath ? 'on' : 'off'}`
  let made = 0
  return {
    name: `S3Storage on Ceph ${prefixed ? 'with' : 'without'} a prefix, fast path ${fastPath ? 'on' : 'off'}`,
    makeHarness: async () => {
      if (prefixed) await client.send(new CreateBucketCommand({ Bucket: run }))
      return {
        signedUrls: 'http',
        makeStorage: async () => {
          const own = `${run}-${++made}`
          if (prefixed) return new S3Storage({ ...options, bucket: run, prefix: `${made}/ä b` })
          await client.send(new CreateBucketCommand({ Bucket: own }))
          return new S3Storage({ ...options, bucket: own })
        },
      }
    },
    close: async () => client.destroy(),
  }
}

/** The one default storage, so one case at a time. */
function byDefault(): Backend {
  let restore = () => {}
  let server: FileServer
  return {
    name: 'the lazy default',
    serial: true,
    makeHarness: async () => {
      server = await startFileServer()
      return {
        signedUrls: 'http',
        concurrency: 1,
        makeStorage: async () =>
          server.serve((baseUrl) => {
            restore()
            restore = setDefaultStorage(new MemoryStorage({ baseUrl }))
            return defaultStorage
          }),
      }
    },
    close: async () => {
      restore()
      await server.stop()
    },
  }
}

const ceph = inject('ceph') !== null

/** Every backend and wrapper, one entry each. */
const BACKENDS: readonly Backend[] = [
  made('MemoryStorage', (place) => memory(place)),
  made('prefixed(MemoryStorage)', (place) => prefixed(memory(place), 'deep/ä b')),
  made('readThrough in the middle of a move', (place) => halfMoved(memory(place), memory(place))),
  made('readOnly(MemoryStorage) for reading', readThroughReadOnly),
  made('a storage whose cache is purged', (place) => new Purged(memory(place))),
  made('FileSystemStorage', (place) => disk(place, {})),
  onR2(false, true),
  ...(ceph ? [onCeph(false, true)] : []),
  byDefault(),
]

/**
 * Combinations of those above, for `npm run test:long`. On servers a prefix and the fast path do not know of each other:
 * each state of one meets each of the other once.
 */
const COMBINATIONS: readonly Backend[] = [
  made('FileSystemStorage with portable names', (place) =>
    disk(place, { fsync: false, portableNames: true }),
  ),
  made('readThrough(MemoryStorage, FileSystemStorage)', (place) => readThrough(memory(place), disk(place))),
  onR2(true, true),
  onR2(false, false),
  made('prefixed(FileSystemStorage)', (place) => prefixed(disk(place), 'deep/ä b')),
  made('prefixed(prefixed(MemoryStorage))', (place) => prefixed(prefixed(memory(place), 'a/b'), 'c')),
  made('prefixed(readThrough in the middle of a move)', (place) =>
    prefixed(halfMoved(memory(place), memory(place)), 'deep'),
  ),
  made('readThrough in the middle of a move, from the disk', (place) =>
    halfMoved(memory(place), disk(place)),
  ),
  ...(ceph ? [onCeph(true, false)] : [onR2(true, false)]),
]

it('every case has a name of its own', () => {
  const names = conformanceCases.map((testCase) => testCase.name)
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  )
})

describe.each(process.env.MODE === 'long' ? COMBINATIONS : BACKENDS)(
  '$name',
  ({ makeHarness, close, serial = false }) => {
    let harness: ConformanceHarness
    beforeAll(async () => {
      harness = await makeHarness()
    })
    afterAll(() => close?.())

    // Each case has storages of its own, so they may run side by side: most of the time goes into waiting for servers.
    const run = serial ? it : it.concurrent
    for (const testCase of conformanceCases) run(testCase.name, () => testCase.run(harness))
  },
)
