/** rclone, which many move files to R2 with, against the stand-in for R2, and next to this package on one bucket. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { devNull, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createDefaultStorage, R2Storage, type Storage } from 'stowage'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterEach, beforeEach, describe, it } from 'vitest'
import { canJudge, runs } from './judge.js'

const MIB = 1024 * 1024
const execute = promisify(execFile)

/** Contents of files, by their paths below a folder. Both rclone and R2 have to encode the odd names. */
const files: Readonly<Record<string, Buffer>> = {
  'a.txt': Buffer.from('hello'),
  'empty.bin': Buffer.alloc(0),
  'photos/ä b+c.png': Buffer.from('\u0089PNG', 'latin1'),
  "photos/100% & 'more' (1).txt": Buffer.from('percent'),
  'deep/er/still/☺.md': Buffer.from('# smile'),
  'large.bin': Buffer.from(Array.from({ length: 17 * MIB }, (_, index) => (index * 31) % 251)),
}
const names = Object.keys(files).sort()

let server: LocalR2
let folder: string
let bucket: string

beforeEach(async () => {
  server = await startLocalR2()
  folder = await mkdtemp(join(tmpdir(), 'stowage-rclone-'))
  bucket = `r2:${server.bucket}`
})
afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

/** Runs rclone to its end. It rejects with what rclone says if rclone finds a fault. */
async function rclone(...args: readonly string[]): Promise<string> {
  const { child, done } = start(...args)
  child.stdin?.end()
  return (await done).stdout
}

/** Starts rclone, set up by variables alone. */
function start(...args: readonly string[]) {
  const { AWS_CA_BUNDLE: _, ...env } = process.env
  const settings = {
    RCLONE_CONFIG: devNull,
    RCLONE_CONFIG_R2_TYPE: 's3',
    RCLONE_CONFIG_R2_PROVIDER: 'Cloudflare',
    RCLONE_CONFIG_R2_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_R2_REGION: 'auto',
    RCLONE_CONFIG_R2_ACCESS_KEY_ID: server.accessKeyId,
    RCLONE_CONFIG_R2_SECRET_ACCESS_KEY: server.secretAccessKey,
    // As Cloudflare advises for keys that may not create buckets.
    RCLONE_S3_NO_CHECK_BUCKET: 'true',
    RCLONE_S3_UPLOAD_CUTOFF: '5M',
    RCLONE_S3_CHUNK_SIZE: '5M',
    RCLONE_RETRIES: '1',
  }
  const done = execute('rclone', args, { env: { ...env, ...settings } })
  return { child: done.child, done }
}

/** The lines of `rclone lsf`, sorted. */
async function listed(where: string): Promise<string[]> {
  return (await rclone('lsf', '-R', '--files-only', where)).trim().split('\n').filter(Boolean).sort()
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

async function writeAll(root: string): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), bytes)
  }
}

async function assertSameAs(storage: Storage, prefix: string): Promise<void> {
  const found: string[] = []
  for await (const { name } of storage.list(prefix)) found.push(name.slice(prefix.length + 1))
  assert.deepEqual(found.sort(), names)
  for (const [name, bytes] of Object.entries(files)) {
    assert.ok((await (await storage.open(`${prefix}/${name}`)).read()).equals(bytes), name)
  }
}

const there = canJudge('rclone', runs('rclone', 'version'), 'apt-get install rclone')

describe.skipIf(!there)('rclone on the local R2', () => {
  it('copies a folder up, several parts at a time, and down again, and finds no difference', async () => {
    const [up, down] = [join(folder, 'up'), join(folder, 'down')]
    await writeAll(up)
    await rclone('copy', up, `${bucket}/backup`)
    assert.deepEqual(await listed(`${bucket}/backup`), names)
    await rclone('check', up, `${bucket}/backup`)
    await rclone('check', '--download', up, `${bucket}/backup`)
    await rclone('copy', `${bucket}/backup`, down)
    assert.deepEqual(await filesBelow(down), names)
    await rclone('check', up, down)
  })

  it('finds a file that differs, and one that is missing', async () => {
    await writeAll(folder)
    await rclone('copy', folder, bucket)
    await writeFile(join(folder, 'a.txt'), 'other')
    await rm(join(folder, 'empty.bin'))
    await assert.rejects(rclone('check', '--one-way', folder, bucket), /1 differences found/)
    await assert.rejects(rclone('check', folder, bucket), /2 differences found/)
  })

  it('copies again only what has changed, and sync deletes what is gone', async () => {
    await writeAll(folder)
    await rclone('sync', folder, bucket)
    const before = await rclone('lsf', '-R', '--files-only', '--format', 'pt', bucket)
    await rclone('sync', folder, bucket)
    assert.equal(await rclone('lsf', '-R', '--files-only', '--format', 'pt', bucket), before)
    await rm(join(folder, 'photos'), { recursive: true })
    await writeFile(join(folder, 'a.txt'), 'changed')
    await rclone('sync', folder, bucket)
    assert.equal(await rclone('cat', `${bucket}/a.txt`), 'changed')
    assert.deepEqual(
      await listed(bucket),
      names.filter((name) => !name.startsWith('photos/')),
    )
  })

  it('keeps times, types and metadata', async () => {
    const file = join(folder, 'a.txt')
    await writeFile(file, 'hello')
    const time = new Date('2024-02-29T12:34:56.000Z')
    await utimes(file, time, time)
    await rclone(
      'copy',
      file,
      bucket,
      '--metadata',
      '--metadata-set',
      'by=me',
      '--metadata-set',
      'cache-control=no-cache',
    )
    const [entry] = JSON.parse(await rclone('lsjson', '--metadata', '--hash', bucket))
    assert.equal(entry.Size, 5)
    assert.equal(new Date(entry.ModTime).getTime(), time.getTime())
    assert.equal(entry.Hashes.md5, '5d41402abc4b2a76b9719d911017c592')
    assert.equal(entry.Metadata.by, 'me')
    assert.equal(entry.Metadata['cache-control'], 'no-cache')
    const info = await createDefaultStorage(server.env).stat('a.txt')
    assert.match(info.contentType, /^text\/plain/)
    assert.equal(info.cacheControl, 'no-cache')
    assert.equal(info.metadata.by, 'me')
  })

  it('copies and moves within the bucket on the server, large files too', async () => {
    await writeAll(folder)
    await rclone('copy', folder, `${bucket}/one`)
    await rclone('copy', `${bucket}/one`, `${bucket}/two`, '--s3-copy-cutoff', '5M')
    await rclone('moveto', `${bucket}/one`, `${bucket}/three`, '--s3-copy-cutoff', '5M')
    for (const target of ['two', 'three']) await rclone('check', '--download', folder, `${bucket}/${target}`)
    assert.deepEqual(await listed(`${bucket}/one`), [])
  })

  it('deletes a file and a folder, and only those', async () => {
    await writeAll(folder)
    await rclone('copy', folder, bucket)
    await rclone('deletefile', `${bucket}/a.txt`)
    await rclone('purge', `${bucket}/photos`)
    await rclone('delete', `${bucket}/deep`)
    assert.deepEqual(await listed(bucket), ['empty.bin', 'large.bin'])
  })

  it('uploads a stream whose length it does not know', async () => {
    const bytes = files['large.bin'] ?? Buffer.alloc(0)
    const { child, done } = start('rcat', `${bucket}/stream.bin`)
    child.stdin?.end(bytes)
    await done
    assert.ok((await (await createDefaultStorage(server.env).open('stream.bin')).read()).equals(bytes))
  })

  it('lists more than a page', async () => {
    const storage = createDefaultStorage(server.env)
    const many = Array.from({ length: 1100 }, (_, index) => `many/${index}.txt`)
    for (let start = 0; start < many.length; start += 50)
      await Promise.all(many.slice(start, start + 50).map((name) => storage.save(name, name)))
    assert.equal((await listed(`${bucket}/many`)).length, many.length)
    assert.equal((await rclone('lsf', bucket)).trim(), 'many/')
  })
})

describe.skipIf(!there).each([true, false])('rclone and this package, fast path %s', (fastPath) => {
  const storageHere = () => {
    const { endpoint, accessKeyId, secretAccessKey, bucket } = server
    return new R2Storage({ endpoint, accessKeyId, secretAccessKey, bucket, fastPath })
  }

  it('read the same bytes: written by rclone', async () => {
    await writeAll(folder)
    await rclone('copy', folder, `${bucket}/shared`)
    await assertSameAs(storageHere(), 'shared')
  })

  it('read the same bytes: written by this package, headers and metadata too', async () => {
    const storage = storageHere()
    for (const [name, bytes] of Object.entries(files)) await storage.save(`shared/${name}`, bytes)
    await writeAll(folder)
    await rclone('check', '--download', folder, `${bucket}/shared`)
    const down = join(folder, 'down')
    await rclone('copy', `${bucket}/shared`, down)
    for (const [name, bytes] of Object.entries(files))
      assert.ok((await readFile(join(down, name))).equals(bytes), name)
    await storage.save('note.md', '# hi', { contentType: 'text/markdown', metadata: { by: 'me', room: '7' } })
    const [entry] = JSON.parse(await rclone('lsjson', '--metadata', `${bucket}/note.md`))
    assert.deepEqual([entry.Metadata.by, entry.Metadata.room], ['me', '7'])
    assert.equal(entry.MimeType, 'text/markdown')
  })

  it('a file that rclone moved or deleted is moved or gone for this package', async () => {
    const storage = storageHere()
    const name = await storage.save('inbox/a.txt', 'hello')
    await rclone('moveto', `${bucket}/${name}`, `${bucket}/done/a.txt`)
    assert.equal(await storage.exists(name), false)
    assert.equal(await (await storage.open('done/a.txt')).text(), 'hello')
    await rclone('deletefile', `${bucket}/done/a.txt`)
    await assert.rejects(storage.open('done/a.txt'), { code: 'NotFound' })
  })
})
