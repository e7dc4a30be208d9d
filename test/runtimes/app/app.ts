/**
 * The application that runs under every runtime, test runner and bundler: disk, memory, S3, upload rules, errors. The
 * `R2_*` variables name the S3 server. It gives back the number of its checks, so that a run that checks nothing is seen.
 */
import { get } from 'node:http'
import { Readable } from 'node:stream'
import * as stowage from 'stowage'
import { conformanceCases } from 'stowage/testing'

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==',
  'base64',
)
const PAGE = '<!doctype html><script>alert(1)</script>'

let count = 0
const failures: string[] = []

function check(what: string, holds: unknown, found?: unknown): void {
  count += 1
  if (holds !== true) failures.push(found === undefined ? what : `${what}: ${show(found)}`)
}

function equal(what: string, found: unknown, wanted: unknown): void {
  check(what, found === wanted, `${show(found)} instead of ${show(wanted)}`)
}

function show(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const { stack, cause } = value as { stack?: unknown; cause?: unknown }
  return `${stack ?? value}${cause === undefined ? '' : `\n  caused by ${show(cause)}`}`
}

/** What makes `await work` reject. */
async function failureOf(what: string, work: () => Promise<unknown>): Promise<stowage.StorageError> {
  try {
    await work()
  } catch (error) {
    check(`${what} rejects with a StorageError`, stowage.isStorageError(error), error)
    return error as stowage.StorageError // Checked in the line above.
  }
  throw new Error(`${what} did not reject`)
}

async function contents(storage: stowage.Storage, label: string): Promise<void> {
  const bytes = new Uint8Array([104, 101, 108, 108, 111])
  const rows: [string, stowage.Content][] = [
    ['a string', 'hello'],
    ['a Uint8Array', bytes],
    ['an ArrayBuffer', bytes.slice().buffer],
    ['a Blob', new Blob(['hel', 'lo'])],
    ['a File', new File(['hello'], 'x.txt', { type: 'text/plain' })],
    ['a Node stream', Readable.from([Buffer.from('hel'), Buffer.from('lo')])],
    ['a web stream', Readable.toWeb(Readable.from(['hello'])) as ReadableStream], // Node's type of the same object.
    [
      'a generator',
      (async function* () {
        yield 'hel'
        yield bytes.subarray(3)
      })(),
    ],
  ]
  for (const [what, content] of rows) {
    const name = await storage.save('contents/a.txt', content, { ifExists: 'overwrite' })
    equal(`${label}: ${what} is stored`, await (await storage.open(name)).text(), 'hello')
  }
}

async function files(storage: stowage.Storage, label: string): Promise<void> {
  const name = await storage.save(stowage.documentPath(42, 'My report.txt'), 'hello', {
    metadata: { owner: 'Zoë' },
    contentDisposition: 'attachment',
  })
  equal(`${label}: the name`, name, 'documents/42/My_report.txt')
  const second = await storage.save(name, 'second')
  check(`${label}: a taken name gets a suffix`, /^documents\/42\/My_report_\w{7}\.txt$/.test(second), second)

  const info = await storage.stat(name)
  equal(`${label}: the type`, info.contentType, 'text/plain')
  equal(`${label}: the metadata`, info.metadata.owner, 'Zoë')
  equal(`${label}: the size`, info.size, 5)
  check(`${label}: the date`, Math.abs(info.lastModified.getTime() - Date.now()) < 600_000)
  equal(
    `${label}: a rare type`,
    (await storage.stat(await storage.save('a.glb', 'x'))).contentType,
    'model/gltf-binary',
  )

  const open = () => storage.open(name)
  check(`${label}: bytes`, Buffer.from('hello').equals(await (await open()).bytes()))
  equal(`${label}: arrayBuffer`, (await (await open()).arrayBuffer()).byteLength, 5)
  equal(`${label}: blob`, (await (await open()).blob()).size, 5)
  const pieces: Uint8Array[] = []
  for await (const piece of await open()) pieces.push(piece)
  equal(`${label}: for await`, Buffer.concat(pieces).toString(), 'hello')
  const reader = (await open()).webStream().getReader()
  equal(`${label}: webStream`, Buffer.from((await reader.read()).value ?? []).toString(), 'hello')
  await reader.cancel()
  const part = await storage.open(name, { range: { offset: -3 } })
  equal(`${label}: a range`, await part.text(), 'llo')

  const copied = await storage.copy(name, 'copies/a.txt')
  const moved = await storage.move(copied, 'copies/b.txt')
  equal(`${label}: a copy keeps metadata`, (await storage.stat(moved)).metadata.owner, 'Zoë')
  check(`${label}: a move leaves nothing`, !(await storage.exists(copied)))
  const names: string[] = []
  for await (const file of storage.list('documents')) names.push(file.name)
  equal(`${label}: list`, names.join(), [name, second].sort(stowage.compareNames).join())
  equal(`${label}: listdir`, (await storage.listdir()).directories.join(), 'contents,copies,documents')
  await storage.deleteMany([moved, 'not/there.txt'])
  equal(`${label}: deleteMany and deletePrefix`, (await storage.deletePrefix('documents')).deleted, 2)
}

async function rules(storage: stowage.Storage, label: string): Promise<void> {
  const image = await storage.save('a.png', PNG, stowage.chatUploadRules)
  equal(`${label}: an image is taken`, (await storage.stat(image)).contentType, 'image/png')
  const page = await failureOf(`${label}: a page named x.png`, () =>
    storage.save('x.png', Readable.from([PAGE]), stowage.chatUploadRules),
  )
  equal(`${label}: its type`, page instanceof stowage.UploadRejectedError && page.found, 'text/html')
  equal(`${label}: its status`, page.status, 415)
  const text = await storage.save('notes.bin', 'plain words', { allowedTypes: ['text/*'] })
  equal(`${label}: text is text`, (await storage.stat(text)).contentType, 'text/plain')
  const large = await failureOf(`${label}: too large`, () =>
    storage.save('x.txt', Readable.from(['x'.repeat(500), 'x'.repeat(600)]), { maxSize: 1000 }),
  )
  equal(`${label}: its code and status`, `${large.code} ${large.status}`, 'Rejected 413')
  check(`${label}: nothing is stored`, !(await storage.exists('x.png')) && !(await storage.exists('x.txt')))
}

async function errors(storage: stowage.Storage, label: string): Promise<void> {
  check(`${label}: a missing file`, !(await storage.exists('missing.txt')))
  const missing = await failureOf(`${label}: open`, () => storage.open('missing.txt'))
  check(`${label}: is a FileNotFoundError`, missing instanceof stowage.FileNotFoundError, missing)
  check(
    `${label}: and a StorageError and an Error`,
    missing instanceof stowage.StorageError && missing instanceof Error,
  )
  equal(`${label}: its code and status`, `${missing.code} ${missing.status}`, 'NotFound 404')
  check(`${label}: its message`, missing.message.startsWith('open "missing.txt": '), missing.message)
  const name = await failureOf(`${label}: a bad name`, () => storage.save('../x', 'hello'))
  equal(`${label}: its code`, name.code, 'InvalidName')
  await storage.save('taken.txt', 'hello', { ifExists: 'overwrite' })
  const taken = await failureOf(`${label}: a taken name`, () =>
    storage.save('taken.txt', 'x', { ifExists: 'error' }),
  )
  equal(`${label}: its code`, taken.code, 'AlreadyExists')
  const controller = new AbortController()
  const aborted = await failureOf(`${label}: an abort`, async () => {
    const endless = (async function* () {
      yield 'x'
      controller.abort(new Error('enough'))
      await new Promise(() => {})
    })()
    await storage.save('aborted.txt', endless, { signal: controller.signal, allowedTypes: ['text/plain'] })
  })
  equal(`${label}: its code`, aborted.code, 'Aborted')
  equal(`${label}: its cause`, (aborted.cause as Error | undefined)?.message, 'enough') // The reason given above.
  const own = new Error('of the source')
  const source = new Readable({ read: () => void source.destroy(own) })
  const thrown = await storage.save('x.txt', source).catch((error: unknown) => error)
  check(`${label}: an error of the source`, thrown === own, thrown)
}

async function s3(options: stowage.R2StorageOptions, label: string): Promise<void> {
  const storage = new stowage.R2Storage(options)
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  const large = Readable.from(Array.from({ length: 11 }, () => chunk))
  const name = await storage.save('large.bin', large)
  let bytes = 0
  for await (const piece of (await storage.open(name)).stream()) bytes += piece.length
  equal(`${label}: an upload of several parts`, bytes, 11 * chunk.length)
  await storage.save('signed.txt', 'hello')
  equal(`${label}: a signed address`, await fetchText(await storage.signedUrl('signed.txt')), 'hello')

  const wrong = new stowage.R2Storage({ ...options, secretAccessKey: 'wrong' })
  const refused = await failureOf(`${label}: a wrong key`, () => wrong.stat('signed.txt'))
  equal(`${label}: its code`, refused.code, 'PermissionDenied')
  const dead = new stowage.R2Storage({ ...options, endpoint: 'http://127.0.0.1:9', retryTimeout: 100 })
  const unreachable = await failureOf(`${label}: a dead server`, () => dead.exists('signed.txt'))
  equal(`${label}: its code`, unreachable.code, 'Unavailable')
}

function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        text += piece
      })
      response.on('end', () => resolve(text))
    }).on('error', reject)
  })
}

/** Where the AWS SDK cannot be loaded, the error says so, and what to do. */
async function noSdk(storage: stowage.Storage): Promise<void> {
  const error = await failureOf('the SDK', () => storage.exists('a.txt'))
  check('the SDK is Misconfigured', error instanceof stowage.ConfigurationError && !error.retryable, error)
  check('and says what to do', /cannot be loaded: .*createRequire/.test(error.message), error)
}

/** The cases of `stowage/testing`, except the ones that wait until a signed address expires. */
async function conformance(makeStorage: () => stowage.Storage, label: string): Promise<void> {
  const harness = { makeStorage: async () => makeStorage(), signedUrls: 'unsupported' as const }
  for (const { name, run } of conformanceCases) {
    await run(harness).then(
      () => check(`${label}: ${name}`, true),
      (error: unknown) => check(`${label}: ${name}`, false, error),
    )
  }
}

async function theDefault(): Promise<void> {
  const name = await stowage.defaultStorage.save('default/a.txt', 'hello')
  equal('the default storage', await (await stowage.defaultStorage.open(name)).text(), 'hello')
  check('is on the disk', String(stowage.defaultStorage).startsWith('FileSystemStorage('))
  const storage = stowage.createDefaultStorage({ ...process.env, R2_ENABLED: 'true' })
  await storage.save('default/a.txt', 'hello', { ifExists: 'overwrite' })
  check('the same on R2', await storage.exists('default/a.txt'))
  const restore = stowage.setDefaultStorage(new stowage.MemoryStorage())
  check('is replaced', !(await stowage.defaultStorage.exists(name)))
  restore()
  await stowage.defaultStorage.delete(name)
  check('and comes back', !(await stowage.defaultStorage.exists(name)))
}

/** Runs everything. Rejects with all that does not hold. */
export async function checks(folder: string): Promise<number> {
  const env = (name: string) => process.env[name] ?? ''
  const r2 = (prefix: string, fastPath: boolean): stowage.R2StorageOptions => ({
    endpoint: env('R2_ENDPOINT_URL'),
    bucket: env('R2_BUCKET_NAME'),
    accessKeyId: env('R2_ACCESS_KEY_ID'),
    secretAccessKey: env('R2_SECRET_ACCESS_KEY'),
    prefix: `${env('R2_PREFIX')}/${prefix}`,
    conditionalCopy: true,
    conditionalCompletion: true,
    fastPath,
  })
  const storages: [string, stowage.Storage][] = [
    ['memory', new stowage.MemoryStorage()],
    ['disk', new stowage.FileSystemStorage({ location: folder })],
    ['s3', new stowage.R2Storage(r2('http', true))],
  ]
  if (process.env.WITHOUT_SDK === undefined)
    storages.push(['s3 by the SDK', new stowage.R2Storage(r2('sdk', false))])
  const attempt = (label: string, work: () => Promise<void>) =>
    work().catch((error: unknown) => check(label, false, error))
  for (const [label, storage] of storages) {
    for (const work of [contents, files, rules, errors]) {
      await attempt(`${label}: ${work.name} go on`, () => work(storage, label))
    }
  }
  await attempt('s3 goes on', () => s3(r2('http', true), 's3'))
  if (process.env.WITHOUT_SDK === undefined) {
    await attempt('s3 by the SDK goes on', () => s3(r2('sdk', false), 's3 by the SDK'))
  } else await attempt('the SDK goes on', () => noSdk(new stowage.R2Storage(r2('sdk', false))))
  await attempt('the default goes on', theDefault)
  if (process.env.CONFORMANCE) await conformance(() => new stowage.MemoryStorage(), 'conformance')
  if (failures.length > 0)
    throw new Error(`${failures.length} of ${count} checks failed:\n${failures.join('\n')}`)
  return count
}
