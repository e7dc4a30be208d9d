import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import {
  defaultStorage,
  FileSystemStorage,
  type FileSystemStorageOptions,
  MemoryStorage,
  prefixed,
  R2Storage,
  readThrough,
  S3Storage,
  type Storage,
  setDefaultStorage,
} from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { afterAll, beforeAll, describe, inject, it } from 'vitest'
import { AS_R2, startStrictR2 } from './servers/r2.js'

interface Backend {
  readonly name: string
  /** Called once, before the first case. */
  makeHarness(): ConformanceHarness | Promise<ConformanceHarness>
  /** Called once, after the last case. */
  close?(): Promise<void>
  /** Cases run one after the other, since they share something. Default false. */
  readonly serial?: boolean
}

function inMemory(): Backend {
  return {
    name: 'MemoryStorage',
    makeHarness: () => ({ makeStorage: async () => new MemoryStorage(), signedUrls: 'unsupported' }),
  }
}

/** Wrappers pass what the storages in them pass. */
function wrapped(name: string, makeStorage: () => Storage): Backend {
  return { name, makeHarness: () => ({ makeStorage: async () => makeStorage(), signedUrls: 'unsupported' }) }
}

function onDisk(options: FileSystemStorageOptions): Backend {
  let folder: string
  let made = 0
  return {
    name: `FileSystemStorage ${JSON.stringify(options)}`,
    makeHarness: async () => {
      folder = await mkdtemp(join(tmpdir(), 'stowage-conformance-'))
      const makeStorage = async () =>
        new FileSystemStorage({ ...options, location: join(folder, `${++made}`) })
      return { makeStorage, signedUrls: 'unsupported' }
    },
    close: () => rm(folder, { recursive: true }),
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
        return new R2Storage({ ...server, ...AS_R2, bucket: server.bucket().name, prefix, fastPath })
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
    credentials: ceph,
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
  return {
    name: 'the lazy default',
    serial: true,
    makeHarness: () => ({
      signedUrls: 'unsupported',
      makeStorage: async () => {
        restore()
        restore = setDefaultStorage(new MemoryStorage())
        return defaultStorage
      },
    }),
    close: async () => restore(),
  }
}

/** Every backend, one entry each. */
const BACKENDS: readonly Backend[] = [
  inMemory(),
  wrapped('prefixed(MemoryStorage)', () => prefixed(new MemoryStorage(), 'deep/ä b')),
  wrapped('readThrough(MemoryStorage, MemoryStorage)', () =>
    readThrough(new MemoryStorage(), new MemoryStorage()),
  ),
  onDisk({}),
  onDisk({ fsync: false }),
  onR2(false, true),
  onR2(true, true),
  onR2(false, false),
  onR2(true, false),
  ...(inject('ceph') ? [onCeph(false, true), onCeph(true, true), onCeph(true, false)] : []),
  byDefault(),
]

it('every case has a name of its own', () => {
  const names = conformanceCases.map((testCase) => testCase.name)
  assert.deepEqual(
    names.filter((name, index) => names.indexOf(name) !== index),
    [],
  )
})

describe.each(BACKENDS)('$name', ({ makeHarness, close, serial = false }) => {
  let harness: ConformanceHarness
  beforeAll(async () => {
    harness = await makeHarness()
  })
  afterAll(() => close?.())

  // Each case has storages of its own, so they may run side by side: most of the time goes into waiting for servers.
  const run = serial ? it : it.concurrent
  for (const testCase of conformanceCases) run(testCase.name, () => testCase.run(harness))
})
