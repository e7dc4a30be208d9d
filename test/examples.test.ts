/** The code blocks of the README are files of examples/ or regions of them, and all of them work. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sqlite from 'node-sqlite3-wasm'
import {
  defaultStorage,
  FileSystemStorage,
  MemoryStorage,
  Problem,
  R2Storage,
  S3Storage,
  type Storage,
  setDefaultStorage,
} from 'stowage'
import { afterAll, afterEach, beforeAll, beforeEach, describe, it, vi } from 'vitest'
import * as browserUpload from '../examples/browser-upload.js'
import * as fileServer from '../examples/file-server.js'
import { uploads as largeUploads } from '../examples/large-uploads.js'
import { differences, moveToR2 } from '../examples/move-to-r2.js'
import * as privateFiles from '../examples/private-files.js'
import { useR2 } from '../examples/r2.js'
import * as running from '../examples/running.js'
import * as storages from '../examples/storages.js'
import { server as uploadServer } from '../examples/upload-server.js'
import * as using from '../examples/using.js'
import { type StrictR2, startStrictR2 } from './servers/r2.js'
import { altered } from './unit/altered.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const examples = join(root, 'examples')
const photo = join(examples, 'files', 'photo.png')
const voiceNote = join(examples, 'files', 'voice-note.webm')
const run = promisify(execFile)

let server: StrictR2
let r2Variables: Record<string, string>
let r2Storage: R2Storage
let folder: string

beforeAll(async () => {
  server = await startStrictR2()
  const { endpoint, accessKeyId, secretAccessKey } = server
  const bucket = 'test-bucket'
  r2Storage = new R2Storage({ endpoint, bucket, accessKeyId, secretAccessKey })
  r2Variables = {
    R2_ENABLED: '1',
    R2_ENDPOINT_URL: endpoint,
    R2_BUCKET_NAME: bucket,
    R2_ACCESS_KEY_ID: accessKeyId,
    R2_SECRET_ACCESS_KEY: secretAccessKey,
  }
})
afterAll(() => server.stop())
beforeEach(async () => {
  vi.spyOn(console, 'log').mockImplementation(() => {})
  folder = await mkdtemp(join(tmpdir(), 'stowage-examples-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  server.reset()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a program of examples/ as a reader would, in an empty folder. */
async function runExample(args: readonly string[], variables: Record<string, string> = {}) {
  const { PATH = '' } = process.env
  const { stdout } = await run(process.execPath, ['--import', import.meta.resolve('tsx'), ...args], {
    cwd: folder,
    env: { PATH, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), NODE_NO_WARNINGS: '1', ...variables },
    timeout: 50_000,
  })
  return stdout
}

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    return String(error)
  }
  assert.fail('nothing was thrown')
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('.stowage'))
    .map(({ name }) => name)
}

const README = 'README.md'
const DOCUMENTS = [
  README,
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  'examples/chat/README.md',
  ...pagesIn('docs'),
]

describe('the documents', () => {
  it.each(DOCUMENTS)('%s shows no code but that of examples/', async (document) => {
    const sources = new Set<string>()
    for (const file of await readdir(examples, { recursive: true })) {
      if (!/\.(ts|json)$/.test(file) || file.includes('node_modules')) continue
      const text = await readFile(join(examples, file), 'utf8')
      sources.add(text.trim())
      for (const [, region] of text.matchAll(/^ *\/\/ #region .*\n([\s\S]*?)^ *\/\/ #endregion/gm)) {
        sources.add(dedent(region ?? ''))
      }
    }
    const page = await readFile(join(root, document), 'utf8')
    const blocks = [...page.matchAll(/^( *)```(?:ts|js|json)\n([\s\S]*?)^\1```$/gm)].map(([, , block]) =>
      dedent(block ?? ''),
    )
    assert.ok(document !== README || blocks.length > 2)
    assert.deepEqual(
      blocks.filter((block) => !sources.has(block)),
      [],
    )
  })

  it.each([...DOCUMENTS, 'CONTRIBUTING.md'])('%s names npm scripts that there are', async (document) => {
    const page = await readFile(join(root, document), 'utf8')
    const missing: string[] = []
    for (const [line, prefix = dirname(document)] of page.matchAll(/npm (?:--prefix (\S+) )?run ([\w:]+)/g)) {
      const script = line.split(' ').at(-1) ?? ''
      const manifests = [join(root, prefix), root].map((at) => join(at, 'package.json')).filter(existsSync)
      const scripts = manifests.map((manifest) => JSON.parse(readFileSync(manifest, 'utf8')).scripts ?? {})
      if (!scripts.some((each) => Object.hasOwn(each, script))) missing.push(line)
    }
    assert.deepEqual(missing, [])
  })

  it('explains every option of the storages', async () => {
    const page = await readFile(join(root, 'docs/configuration.md'), 'utf8')
    const unknown = JSON.parse('{ "unknown": true }')
    const makers = [
      () => new FileSystemStorage(unknown),
      () => new MemoryStorage(unknown),
      () => new R2Storage(unknown),
      () => new S3Storage(unknown),
    ]
    const explained = new Set(
      [...page.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => cell.match(/\w+/g) ?? []),
    )
    const missing = makers.flatMap((make) => {
      const known = /there are (.*)$/.exec(messageOf(make))?.[1]?.split(', ') ?? []
      assert.ok(known.length > 2)
      return known.filter((option) => !explained.has(option))
    })
    assert.deepEqual(missing, [])
  })

  it('has a README of less than 10 KB', async () => {
    assert.ok((await readFile(join(root, README))).byteLength < 10_000)
  })
})

describe('npm run demo', () => {
  it('stores, resolves, refuses, reads and deletes on the disk, with nothing configured', async () => {
    const output = await runExample([join(examples, 'demo.ts')])
    for (const type of ['application/pdf', 'audio/webm', 'image/png', 'audio/mpeg', 'image/jpeg']) {
      assert.match(output, new RegExp(` ${type}$`, 'm'))
    }
    assert.match(output, /\/uploads\/documents\/demo-\w+\/Quarterly_report\.pdf$/m)
    assert.match(output, /Quarterly_report_[A-Za-z0-9]{7}\.pdf/)
    assert.match(output, /HTTP status 415/)
    assert.match(output, /^The same on R2: set R2_ENABLED=1, /m)
    assert.deepEqual(await filesBelow(folder), [])
  })

  it('leaves the files in place on request', async () => {
    await runExample([join(examples, 'demo.ts'), '--keep'])
    assert.equal((await filesBelow(join(folder, 'uploads'))).length, 6)
  })

  it('does the same in a bucket, and fetches a signed URL there', async () => {
    const output = await runExample([join(examples, 'demo.ts')], r2Variables)
    assert.match(output, /in the bucket test-bucket/)
    assert.match(output, /fetched: HTTP 200, the same bytes/)
    const puts = server.requests.filter(({ method, key }) => method === 'PUT' && !key.startsWith('.stowage/'))
    assert.equal(puts.length, 7) // Beside the probe.
    assert.equal(await count(r2Storage.list()), 0)
    assert.deepEqual(await readdir(folder), [])
  })

  it('says what is wrong where variables are missing', async () => {
    const started = runExample([join(examples, 'demo.ts')], { R2_ENABLED: '1', R2_BUCKET_NAME: 'files' })
    await assert.rejects(started, (error: { code: number; stderr: string }) => {
      assert.equal(error.code, 1)
      assert.match(error.stderr, /R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ENDPOINT_URL are not set/)
      return true
    })
  })
})

describe('the programs', () => {
  it('quickstart.ts prints what its comments say', async () => {
    const output = await runExample([join(examples, 'quickstart.ts')])
    const source = await readFile(join(examples, 'quickstart.ts'), 'utf8')
    const promised = [...source.matchAll(/console\.log.* \/\/ (.*)$/gm)].map(([, line]) => line)
    assert.deepEqual(output.trim().split('\n'), promised)
  })

  it('check-r2.ts says that a bucket works', async () => {
    const output = await runExample([join(examples, 'check-r2.ts')], r2Variables)
    assert.match(output, /^private address: 200 It works\.$/m)
  })

  it('check-r2.ts says what is wrong with wrong keys', async () => {
    const started = runExample([join(examples, 'check-r2.ts')], {
      ...r2Variables,
      R2_SECRET_ACCESS_KEY: 'wrong',
    })
    await assert.rejects(started, /PermissionDenied save "check\/hello\.txt"/)
  })

  it('nightly.ts deletes what the database does not know, what is too old and what crashes left', async () => {
    const disk = new FileSystemStorage({ location: join(folder, 'uploads') })
    const path = join(folder, 'chat.db')
    const database = new sqlite.Database(path)
    database.run('CREATE TABLE documents (file TEXT PRIMARY KEY)')
    database.run("INSERT INTO documents VALUES ('documents/1/known.pdf')")
    database.close()
    const age = { 'documents/1/known.pdf': 10, 'documents/1/orphan.pdf': 10, 'voice_notes/1/old.webm': 31 }
    for (const [name, days] of Object.entries(age)) {
      await disk.save(name, 'x')
      const time = new Date(Date.now() - days * 86_400_000)
      await utimes(disk.path(name), time, time)
    }
    await disk.save('documents/1/new.pdf', 'its row is not written yet')
    const output = await runExample([join(examples, 'nightly.ts')], { DATABASE: path })
    assert.equal(output, 'deleted, nobody knows it: documents/1/orphan.pdf\n1 expired, 0 left by crashes\n')
    assert.deepEqual((await filesBelow(join(folder, 'uploads'))).sort(), ['known.pdf', 'new.pdf'])
  })

  it.each(['avatars.test.ts', 'local-r2.test.ts', 'map-storage.test.ts'])(
    '%s passes under node:test',
    async (file) => {
      const output = await runExample(['--test', '--test-reporter=tap', join(examples, file)])
      assert.match(output, /^# pass [1-9]\d*\n# fail 0$/m)
    },
  )
})

describe('the file server', () => {
  it('answers signed addresses of the disk, and those of a check', async () => {
    const { server } = fileServer
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const baseUrl = `http://127.0.0.1:${address.port}/uploads/`
    const restore = setDefaultStorage(new FileSystemStorage({ location: folder, baseUrl }))
    try {
      await defaultStorage.save('reports/2026.pdf', '%PDF-1.7')
      const answered = await fetch(await defaultStorage.signedUrl('reports/2026.pdf'))
      assert.deepEqual([answered.status, await answered.text()], [200, '%PDF-1.7'])
      assert.equal((await fetch(defaultStorage.url('reports/2026.pdf'))).status, 403)
      const request = new Request(baseUrl)
      assert.equal((await fileServer.report(request, false)).status, 403)
      const report = await fileServer.report(request, true)
      assert.equal(report.headers.get('content-disposition'), 'attachment; filename="2026.pdf"')
      assert.equal(await report.text(), '%PDF-1.7')
    } finally {
      restore()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})

describe.each(['disk', 'R2'])('on %s', (place) => {
  let restore: () => void
  beforeEach(() => {
    restore = setDefaultStorage(place === 'disk' ? new FileSystemStorage({ location: folder }) : r2Storage)
  })
  afterEach(() => restore())

  it('an avatar is replaced', async () => {
    assert.equal(await using.saveAvatar(7, 'me.PNG', await readFile(photo)), 'user_avatars/7.png')
    assert.equal(await using.saveAvatar(7, 'me.PNG', 'another'), 'user_avatars/7.png')
    const { size, cacheControl, metadata } = await defaultStorage.stat('user_avatars/7.png')
    assert.deepEqual([size, cacheControl, metadata], [7, 'max-age=300', { 'uploaded-by': 'user 7' }])
  })

  it('a stream is stored', async () => {
    const path = join(folder, 'all.csv')
    await writeFile(path, 'a,b\n1,2\n')
    const name = await using.saveStream(path)
    assert.equal((await defaultStorage.stat(name)).contentType, 'text/csv; charset=utf-8')
  })

  it('a name is given once', async () => {
    assert.deepEqual([await using.createOnce(), await using.createOnce()], [true, false])
  })

  it('uploads are judged by their bytes', async () => {
    assert.match(await using.saveChatUpload('p.png', await readFile(photo)), /^chat_uploads\/[\w-]{36}\.png$/)
    await assert.rejects(using.saveChatUpload('p.png', '<html>'), /text\/html is not allowed here/)
    const name = await using.saveVoiceNote(42, 'note.webm', await readFile(voiceNote))
    assert.equal((await defaultStorage.stat(name)).contentType, 'audio/webm')
    await assert.rejects(using.saveVoiceNote(42, 'note.webm', await readFile(photo)), { code: 'Rejected' })
  })

  it('speech is played while it is stored', async () => {
    const response = new PassThrough()
    const [played, name] = await Promise.all([
      buffer(response),
      using.playSpeech([42, 7], ['one ', 'two'], response),
    ])
    assert.equal(played.toString(), 'one two')
    assert.equal(name, 'ai_speech/42/reply_7.mp3')
    assert.equal(await (await defaultStorage.open(name)).text(), 'one two')
  })

  it('files are read whole, in part and as streams', async () => {
    const name = await defaultStorage.save('notes/a.txt', '0123456789')
    const target = join(folder, 'copy.txt')
    assert.equal(await using.readAll(name, target), '0123456789')
    assert.equal(await readFile(target, 'utf8'), '0123456789')
    assert.deepEqual((await using.readParts(name)).map(String), ['0123', '6789'])
    const response = new PassThrough()
    const [sent] = await Promise.all([buffer(response), using.sendTo(name, response)])
    assert.equal(sent.toString(), '0123456789')
    assert.equal((await using.openOrNothing(name))?.size, 10)
    assert.equal(await using.openOrNothing('notes/b.txt'), undefined)
  })

  it('files are listed, copied, moved and deleted', async () => {
    await defaultStorage.save('documents/42/plan.txt', 'plan')
    await defaultStorage.save('documents/42/b.txt', 'bb')
    assert.equal(await using.listRoom(), 6)
    assert.equal(await using.copyAndMove(), 'archive/plan.txt')
    assert.equal(await using.deleteRoom(), 2)
    assert.equal(await count(defaultStorage.list()), 0)
  })

  it('the upload server stores and refuses', async () => {
    uploadServer.listen(0, '127.0.0.1')
    await once(uploadServer, 'listening')
    const address = uploadServer.address()
    assert.ok(typeof address === 'object' && address !== null)
    const put = (name: string, body: string | Uint8Array<ArrayBuffer>) =>
      fetch(`http://127.0.0.1:${address.port}/${name}`, { method: 'PUT', body })
    try {
      const created = await put('holiday.PNG', new Uint8Array(await readFile(photo)))
      assert.equal(created.status, 201)
      const { name } = JSON.parse(await created.text())
      assert.equal((await defaultStorage.stat(name)).contentType, 'image/png')
      assert.equal((await put('x.png', '<html>hello</html>')).status, 415)
      assert.equal((await put('%2e%2e', 'x')).status, 400)
      assert.equal((await put('%E0', 'x')).status, 400)
      const large = new Uint8Array(51 * 1024 * 1024)
      large.set(await readFile(photo))
      assert.equal((await put('large.png', large)).status, 413)
      assert.equal(await count(defaultStorage.list()), 1)

      const restoreBroken = setDefaultStorage(full())
      const error = vi.spyOn(console, 'error').mockImplementation(() => {})
      const refused = await put('holiday.png', new Uint8Array(await readFile(photo)))
      restoreBroken()
      assert.deepEqual([refused.status, (await refused.text()).includes('quota')], [507, false])
      assert.equal(error.mock.calls.length, 1)
    } finally {
      uploadServer.close()
      uploadServer.closeAllConnections()
    }
  })
})

describe('large uploads', () => {
  it('begin for a user, and are refused to others', async () => {
    const restore = setDefaultStorage(new FileSystemStorage({ location: folder }))
    const begin = (headers: Record<string, string>) =>
      largeUploads(
        new Request('http://localhost/s3/multipart', {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ filename: 'talk.mp4', type: 'video/mp4', metadata: {} }),
        }),
      )
    try {
      assert.equal((await begin({}))?.status, 403)
      const begun = JSON.parse((await (await begin({ cookie: 'session=1' }))?.text()) ?? '')
      assert.equal(begun.key, 'documents/42/talk.mp4')
      assert.equal(typeof begun.uploadId, 'string')
    } finally {
      restore()
    }
  })
})

describe('running it', () => {
  let restore: () => void
  beforeEach(async () => {
    restore = setDefaultStorage(r2Storage)
    await r2Storage.save('documents/42/plan.pdf', 'old plan')
    await r2Storage.save('documents/42/forgotten.pdf', 'nobody knows it')
  })
  afterEach(() => restore())

  it('costs, rules, backups and orphans work on a bucket', async () => {
    await running.bill()
    await running.cleanUp(r2Storage)
    assert.deepEqual(
      (await r2Storage.getLifecycle()).map(({ prefix, days }) => [prefix, days]),
      [
        ['documents', 90],
        ['voice_notes', 30],
        ['tmp', 7],
      ],
    )
    const error = vi.spyOn(console, 'error').mockImplementation(() => {})
    await running.backUp(folder)
    assert.deepEqual((await filesBelow(folder)).sort(), ['forgotten.pdf', 'plan.pdf'])
    assert.equal(error.mock.calls.length, 0)
    assert.equal(await count(r2Storage.list()), 2)
    await running.examine()
    assert.equal(await count(r2Storage.list()), 2) // It cleans up.
  })

  it('a row and its file end alike', async () => {
    const path = join(examples, 'files', 'report.pdf')
    await running.replaceDocument(path, async (name) => {
      assert.match(name, /^documents\/42\/plan_\w{7}\.pdf$/)
      return 'documents/42/plan.pdf'
    })
    assert.equal(await r2Storage.exists('documents/42/plan.pdf'), false)
    assert.equal(await count(r2Storage.list()), 2)
    const failing = running.replaceDocument(path, async () => {
      throw new Error('the database is down')
    })
    await assert.rejects(failing, /the database is down/)
    assert.equal(await count(r2Storage.list()), 2)
  })

  it('a purge and a warm cache need a public address', async () => {
    const keys = { accountId: 'a'.repeat(32), bucket: 'files', accessKeyId: 'key', secretAccessKey: 'secret' }
    assert.equal(String(running.behindCloudflare(keys, 'zone', 'token')), 'R2Storage(files)')
    const { files } = await running.fillCache()
    assert.equal(files, 0)
  })
})

describe('addresses of a bucket', () => {
  let restore: () => void
  beforeEach(() => {
    restore = setDefaultStorage(r2Storage)
  })
  afterEach(() => restore())

  it('a private file is downloaded by a signed URL', async () => {
    await defaultStorage.save('contracts/1.pdf', await readFile(join(examples, 'files', 'report.pdf')))
    const response = await fetch(await privateFiles.linkForReader('contracts/1.pdf'))
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-disposition'), 'attachment; filename="Contract.pdf"')
    assert.equal((await response.arrayBuffer()).byteLength, 649)
    const page = await privateFiles.linkForPage('contracts/1.pdf')
    assert.equal((await fetch(page)).status, 200)
  })

  it('a browser uploads past the server, only what was signed, and the bytes are judged afterwards', async () => {
    const picture = new Blob([await readFile(photo)], { type: 'image/png' })
    const signed = await browserUpload.prepareUpload('photo.png', picture.size, picture.type)
    await assert.rejects(browserUpload.upload(new Blob(['other']), signed), /HTTP 403/)
    const name = await browserUpload.upload(picture, signed)
    await assert.rejects(browserUpload.upload(picture, signed), /HTTP 412/)
    const accepted = await browserUpload.acceptUpload(name)
    assert.equal((await defaultStorage.stat(accepted)).size, picture.size)
    assert.equal(await defaultStorage.exists(name), false)

    const lie = new Blob(['<script>alert(1)</script>'], { type: 'image/png' })
    const page = await browserUpload.upload(
      lie,
      await browserUpload.prepareUpload('x.png', lie.size, lie.type),
    )
    await assert.rejects(browserUpload.acceptUpload(page), { code: 'Rejected', found: 'text/html' })
    await assert.rejects(browserUpload.prepareUpload('a.exe', 1, 'application/x-msdownload'), /not allowed/)
  })
})

it('files move from the disk to a bucket', async () => {
  const disk = new FileSystemStorage({ location: folder })
  await disk.save('a/1.txt', 'one', { contentType: 'text/markdown' })
  await disk.save('b/2.txt', 'two')
  const { endpoint, accessKeyId, secretAccessKey } = server
  const options = { endpoint, bucket: 'test-bucket', accessKeyId, secretAccessKey }
  assert.deepEqual(await differences(folder, options), ['missing a/1.txt', 'missing b/2.txt'])
  assert.deepEqual(await moveToR2(folder, options), { copied: 2, skipped: 0, failed: [], bytes: 6 })
  assert.equal((await r2Storage.stat('a/1.txt')).contentType, 'text/markdown')
  assert.deepEqual(await moveToR2(folder, options), { copied: 0, skipped: 2, failed: [], bytes: 0 })
  assert.deepEqual(await differences(folder, options), [])
})

it('storages are made of storages', async () => {
  const restore = setDefaultStorage(new MemoryStorage())
  try {
    assert.equal(await storages.saveForTenant(7, 'report'), 'report.pdf')
    assert.equal(await defaultStorage.exists('tenants/7/report.pdf'), true)
    await assert.rejects(storages.storageForJob().delete('tenants/7/report.pdf'), {
      code: 'PermissionDenied',
    })
    await new FileSystemStorage({ location: folder }).save('old.txt', 'old')
    const { endpoint, accessKeyId, secretAccessKey } = server
    const options = { endpoint, bucket: 'test-bucket', accessKeyId, secretAccessKey }
    const moving = storages.storageForMove(folder, options)
    assert.equal(await (await moving.open('old.txt')).text(), 'old')
    assert.equal(await moving.save('old.txt', 'new', { ifExists: 'overwrite' }), 'old.txt')
    assert.equal(await (await r2Storage.open('old.txt')).text(), 'new')
  } finally {
    restore()
  }
})

it('an R2 storage made in code becomes the default', () => {
  const restore = setDefaultStorage(new MemoryStorage())
  useR2({ accountId: '0123456789abcdef0123456789abcdef', bucket: 'files', keyId: 'id', secret: 'secret' })
  assert.equal(defaultStorage.url('a b.txt'), 'https://cdn.example.com/a%20b.txt')
  restore()
})

function full(): Storage {
  return altered(new MemoryStorage(), () => ({
    stage: async () => {
      throw new Problem('Full', 'the disk quota is used up')
    },
  }))
}

function dedent(text: string): string {
  const indent = /^ */.exec(text)?.[0] ?? ''
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '').trim()
}

function pagesIn(folder: string): string[] {
  return readdirSync(join(root, folder))
    .filter((page) => page.endsWith('.md'))
    .map((page) => `${folder}/${page}`)
}

async function count(items: AsyncIterable<unknown>): Promise<number> {
  let found = 0
  for await (const _ of items) found++
  return found
}
