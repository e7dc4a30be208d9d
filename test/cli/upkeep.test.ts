import assert from 'node:assert/strict'
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest'
import { newFolder, temporaryFilesIn } from '../integration/child/folders.js'
import { namesIn } from '../operations/storages.js'
import { seen } from './ended.js'
import { Program, recordsOf } from './program.js'

let program: Program
let cdn: Server
let cwd: string
let root: string
let storage: FileSystemStorage
beforeAll(async () => {
  program = await Program.build()
  cdn = createServer(({ url = '' }, response) => {
    if (url.includes('lost')) response.writeHead(404).end()
    else response.setHeader('cf-cache-status', url.includes('cold') ? 'MISS' : 'HIT').end('12345')
  })
  await new Promise<void>((resolve) => cdn.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  cdn.closeAllConnections()
  await Promise.all([program.remove(), new Promise((resolve) => cdn.close(resolve))])
})
beforeEach(async () => {
  cwd = await newFolder()
  root = join(cwd, 'uploads')
  storage = new FileSystemStorage({ location: root, fsync: false })
})

const run = (command: string, env: Readonly<Record<string, string>> = {}) =>
  program.run(command.split(' '), { cwd, env })
async function save(name: string, daysAgo = 0) {
  await storage.save(name, 'abc')
  const time = Date.now() / 1000 - daysAgo * 86_400
  await utimes(storage.path(name), time, time)
}

describe('stowage expire', () => {
  beforeEach(async () => {
    await Promise.all([save('documents/new.txt', 1), save('documents/old.txt', 91), save('tmp/old.txt', 8)])
  })

  it('says by rule what would be deleted, and deletes with --yes', async () => {
    const dry = await run('expire --default --dry-run')
    assert.deepEqual(
      [dry.code, dry.stdout],
      [0, 'documents\t90\t1\t3\nvoice_notes\t30\t0\t0\ntmp\t7\t1\t3\n'],
    )
    assert.equal(dry.stderr, '2 files (6 B) would be deleted\n')
    const unasked = await run('expire --default')
    assert.deepEqual([unasked.code, unasked.stderr.includes('give --yes')], [64, true])
    assert.equal((await namesIn(storage)).length, 3)
    const [done] = recordsOf((await run('expire --rule documents=30 --rule tmp=30 --yes --json')).stdout)
    assert.deepEqual(done, {
      deleted: 1,
      bytes: 3,
      rules: [
        { prefix: 'documents', days: 30, deleted: 1, bytes: 3 },
        { prefix: 'tmp', days: 30, deleted: 0, bytes: 0 },
      ],
      failed: 0,
      invalidNames: 0,
    })
    assert.deepEqual(await namesIn(storage), ['documents/new.txt', 'tmp/old.txt'])
  })

  it('asks on a terminal', async () => {
    const { terminal, screen, ended } = program.startInTerminal(['expire', '--default'], { cwd, columns: 40 })
    await seen(screen, /folder +days +files +size.*Delete 2 files \(6 B\) of .*\[y\/N\] /s)
    terminal.write('y\r')
    assert.equal(await ended, 0, screen())
    assert.deepEqual(await namesIn(storage), ['documents/new.txt'])
  })

  it('asks nothing where nothing has expired', async () => {
    const ended = await run('expire --rule documents=900')
    assert.deepEqual([ended.code, ended.stderr], [0, '0 files (0 B) were deleted\n'])
  })

  it('wants rules', async () => {
    const ended = await run('expire')
    assert.deepEqual(
      [ended.code, ended.stderr],
      [64, 'error: give --default, or rules such as --rule documents=90\n'],
    )
  })
})

describe('stowage sweep', () => {
  it('removes what crashes have left', async () => {
    await save('a.txt')
    const draft = join(root, '.stowage', 'tmp', '3d1f7c52-0b0e-4d35-9b52-6f0f2c7c1b11')
    await mkdir(join(root, '.stowage', 'tmp'), { recursive: true })
    await writeFile(draft, 'x')
    assert.equal((await run('sweep')).stdout, 'removed 0 leftovers of crashes\n')
    assert.deepEqual(recordsOf((await run('sweep --older-than 0 --json')).stdout), [{ removed: 1 }])
    assert.deepEqual([await temporaryFilesIn(root), await namesIn(storage)], [[], ['a.txt']])
    assert.equal((await run('sweep --older-than soon')).code, 64)
  })
})

describe('stowage warm', () => {
  const atCdn = () => ({ MEDIA_URL: `http://127.0.0.1:${(cdn.address() as AddressInfo).port}/` })

  it('fetches every file, and sums up what the cache said', async () => {
    await Promise.all(['in/cold.txt', 'in/b.txt', 'in/c.txt', 'out.txt'].map((name) => save(name)))
    const ended = await run('warm in', atCdn())
    assert.deepEqual(
      [ended.code, ended.stdout, ended.stderr],
      [0, 'fetched 3 files (15 B), failed 0\n  HIT: 2\n  MISS: 1\n', ''],
    )
  })

  it('tells the files that are not served', async () => {
    await Promise.all([save('a.txt'), save('lost.txt')])
    const ended = await run('warm --json', atCdn())
    const [failure, summary] = recordsOf(ended.stdout)
    assert.equal(ended.code, 2)
    assert.equal(failure?.name, 'lost.txt')
    assert.deepEqual(summary, { files: 1, bytes: 5, cacheStatus: { HIT: 1 }, failed: 1 })
  })

  it('says why nothing can be fetched', async () => {
    await save('a.txt')
    const [nowhere, relative, dead] = await Promise.all([
      run('warm nowhere', atCdn()),
      run('warm'),
      run('warm', { MEDIA_URL: 'http://127.0.0.1:9/' }),
    ])
    assert.deepEqual([nowhere.code, nowhere.stderr], [1, 'error: there are no files in nowhere\n'])
    assert.equal(relative.code, 64)
    assert.match(relative.stderr, /^error: warm: the public addresses must be absolute: .*\n$/)
    assert.equal(dead.code, 2)
    assert.match(dead.stderr, /^failed: warm "a\.txt": the public address cannot be fetched\n$/)
  })
})
