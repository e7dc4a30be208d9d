/** The backend of a chat that somebody writes who knows only the README, over real HTTP. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  createDefaultStorage,
  defaultStorage,
  FileSystemStorage,
  MemoryStorage,
  Problem,
  type Storage,
  setDefaultStorage,
} from 'stowage'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { app } from '../examples/chat-backend.js'
import { altered } from './unit/altered.js'

const run = promisify(execFile)
const examples = fileURLToPath(new URL('../examples/', import.meta.url))
const exampleFile = async (name: string) => new Uint8Array(await readFile(join(examples, 'files', name)))
const MEMBER = { authorization: 'Bearer member-of-42' }
const USER = { authorization: 'Bearer user-7' }
const MIB = 1024 * 1024

let server: ReturnType<typeof createServer>
let address: string
let folder: string
let r2: LocalR2
beforeAll(async () => {
  server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  folder = await mkdtemp(join(tmpdir(), 'stowage-chat-'))
  r2 = await startLocalR2()
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await r2.close()
  await rm(folder, { recursive: true })
})

const get = (path: string, headers: Record<string, string> = {}) => fetch(address + path, { headers })
const send = (path: string, content: Uint8Array<ArrayBuffer> | string, filename: string, headers: object) => {
  const body = new FormData()
  body.set('file', new Blob([content]), filename)
  return fetch(address + path, { method: 'POST', body, headers: { ...headers } })
}
/** Bytes that begin as a photo does. */
const photoOf = async (size: number) => {
  const bytes = new Uint8Array(size)
  bytes.set(await exampleFile('photo.png'))
  return bytes
}

describe.each(['disk', 'R2'])('the chat backend on %s', (place) => {
  let restore: () => void
  beforeAll(() => {
    const baseUrl = `${address}/uploads/`
    restore = setDefaultStorage(
      place === 'disk'
        ? new FileSystemStorage({ location: folder, baseUrl })
        : createDefaultStorage({ ...r2.env }),
    )
  })
  afterAll(() => restore())

  it('stores documents, and shows them to members and to those with a signed address', async () => {
    const report = await exampleFile('report.pdf')
    const names: string[] = []
    for (let again = 0; again < 2; again++) {
      const answer = await send('/rooms/42/documents', report, 'Q3 report.pdf', MEMBER)
      assert.equal(answer.status, 201)
      const { name, url } = JSON.parse(await answer.text())
      names.push(name)
      assert.deepEqual(new Uint8Array(await (await fetch(url)).arrayBuffer()), report)
      const file = await get(`/rooms/42/${name.replace('documents/42/', 'documents/')}`, MEMBER)
      assert.deepEqual([file.status, file.headers.get('content-type')], [200, 'application/pdf'])
      assert.equal((await get(`/${name}`)).status, 404)
    }
    assert.equal(names[0], 'documents/42/Q3_report.pdf')
    assert.match(String(names[1]), /^documents\/42\/Q3_report_\w{7}\.pdf$/)
    assert.equal((await get('/rooms/42/documents/Q3_report.pdf')).status, 403)
    assert.equal((await get('/rooms/43/documents/Q3_report.pdf', MEMBER)).status, 403)
    assert.equal((await send('/rooms/42/documents', report, 'a.pdf', {})).status, 403)

    const path = `${address}/rooms/42/documents/Q3_report.pdf`
    assert.equal((await fetch(path, { method: 'DELETE', headers: MEMBER })).status, 204)
    assert.equal((await fetch(path, { headers: MEMBER })).status, 404)
    assert.equal(await defaultStorage.exists(String(names[1])), true)
  })

  it('stores voice notes, with a type that players seek in', async () => {
    const answer = await send(
      '/rooms/42/voice-notes',
      await exampleFile('voice-note.webm'),
      'note.webm',
      MEMBER,
    )
    assert.equal(JSON.parse(await answer.text()).name, 'voice_notes/42/note.webm')
    const part = await get('/rooms/42/voice-notes/note.webm', { ...MEMBER, range: 'bytes=0-3' })
    assert.deepEqual([part.status, part.headers.get('content-type')], [206, 'audio/webm'])
  })

  it('keeps one picture for each user', async () => {
    assert.equal((await get('/users/7/avatar')).status, 401)
    for (const [file, name] of [
      ['photo.png', 'user_avatars/7.png'],
      ['photo.png', 'user_avatars/7.png'],
      ['avatar.jpg', 'user_avatars/7.jpg'],
    ] as const) {
      const answer = await send('/users/me/avatar', await exampleFile(file), file, USER)
      assert.deepEqual([answer.status, JSON.parse(await answer.text())], [201, { name }])
    }
    assert.deepEqual((await defaultStorage.listdir('user_avatars')).files, ['7.jpg'])
    const picture = await get('/users/7/avatar', USER)
    assert.deepEqual([picture.status, picture.headers.get('content-type')], [200, 'image/jpeg'])
    assert.equal((await get('/users/8/avatar', USER)).status, 404)
    assert.equal((await send('/users/me/avatar', await exampleFile('photo.png'), 'a.png', {})).status, 401)
  })

  it('answers 413 and 415, and keeps nothing of such a file', async () => {
    const before = await count()
    const statuses = [
      await send('/rooms/42/documents', await photoOf(51 * MIB), 'large.png', MEMBER),
      await send('/users/me/avatar', await photoOf(3 * MIB), 'large.png', USER),
      await send('/rooms/42/documents', '<script>alert(1)</script>', 'holiday.png', MEMBER),
      await send('/rooms/42/voice-notes', await exampleFile('photo.png'), 'note.webm', MEMBER),
      await send('/users/me/avatar', await exampleFile('report.pdf'), 'me.png', USER),
    ].map(({ status }) => status)
    assert.deepEqual(statuses, [413, 413, 415, 415, 415])
    assert.equal(await count(), before)
  })
})

/** Sends a photo of 2 MiB to a storage that cannot take it. */
async function sendTo(broken: Storage): Promise<{ status: number; text: string; retryAfter: string | null }> {
  const restore = setDefaultStorage(broken)
  try {
    const answer = await send('/rooms/42/documents', await photoOf(2 * MIB), 'photo.png', MEMBER)
    return {
      status: answer.status,
      text: await answer.text(),
      retryAfter: answer.headers.get('retry-after'),
    }
  } finally {
    restore()
  }
}

describe('the chat backend', () => {
  it('answers 503 while nobody listens where R2 should be', async () => {
    const { status, text, retryAfter } = await sendTo(
      createDefaultStorage({ ...r2.env, R2_ENDPOINT_URL: `http://127.0.0.1:${await closedPort()}` }),
    )
    assert.deepEqual([status, retryAfter], [503, '5'])
    assert.doesNotMatch(text, /127\.0\.0\.1|ECONNREFUSED|test-bucket/)
  })

  it('answers 507 when the disk is full', async () => {
    const { status, text } = await onFullDisk(sendTo)
    assert.equal(status, 507)
    assert.doesNotMatch(text, /ENOSPC|tmp/)
  })

  it('uses only what the README shows', async () => {
    const readme = await readFile(join(examples, '..', 'README.md'), 'utf8')
    const source = await readFile(join(examples, 'chat-backend.ts'), 'utf8')
    const imports = [...source.matchAll(/import \{([^}]*)\} from 'stowage(?:\/http)?'/g)]
    const names = imports.flatMap(([, list = '']) => list.split(',').map((name) => name.trim()))
    assert.ok(names.length >= 10)
    const needed = [...names, 'maxSize', 'allowedTypes', 'ifExists']
    assert.deepEqual(
      needed.filter((name) => !readme.includes(name)),
      [],
    )
  })

  it('has less than 60 lines', async () => {
    const source = await readFile(join(examples, 'chat-backend.ts'), 'utf8')
    assert.ok(source.trimEnd().split('\n').length < 60)
  })
})

async function closedPort(): Promise<number> {
  const listener = createTcpServer()
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as AddressInfo
  await new Promise((resolve) => listener.close(resolve))
  return port
}

/** A disk of 1 MiB where one can be mounted, else one that only says that it is full. */
async function onFullDisk<Result>(use: (storage: Storage) => Promise<Result>): Promise<Result> {
  const disk = await mkdtemp(join(tmpdir(), 'stowage-full-'))
  const mount = run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk])
  const mounted = await mount.then(
    () => true,
    () => false,
  )
  try {
    if (mounted) return await use(new FileSystemStorage({ location: disk }))
    const stage = async () => {
      throw new Problem('Full', 'ENOSPC in /tmp')
    }
    return await use(altered(new MemoryStorage(), () => ({ stage })))
  } finally {
    if (mounted) await run('umount', ['-l', disk])
    await rm(disk, { recursive: true })
  }
}

async function count(): Promise<number> {
  let files = 0
  for await (const _ of defaultStorage.list()) files += 1
  return files
}
