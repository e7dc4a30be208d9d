import assert from 'node:assert/strict'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createDefaultStorage, type Storage } from 'stowage'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { recordsOf, textOf, usePlace } from './program.js'

const place = usePlace()
let server: LocalR2
let r2: Storage
beforeAll(async () => {
  server = await startLocalR2()
  r2 = createDefaultStorage(server.env)
})
afterAll(() => server.close())

describe('stowage cp and mv', () => {
  it('copy and move in one storage, and never over a file unless they are told', async () => {
    await place.disk.save('a.txt', 'one')
    const copied = await place.run(['cp', 'a.txt', 'archive/'])
    assert.deepEqual(copied, { code: 0, stdout: 'archive/a.txt\n', stderr: '' })
    const renamed = await place.run(['mv', 'a.txt', 'archive/a.txt', '--json'])
    const [{ name, from }] = recordsOf(renamed.stdout)
    assert.match(name, /^archive\/a_\w{7}\.txt$/)
    assert.deepEqual([from, await place.disk.exists('a.txt')], ['a.txt', false])
    const refused = await place.run(['mv', name, 'archive/a.txt', '--if-exists', 'error'])
    assert.deepEqual([refused.code, await place.disk.exists(name)], [4, true])
    const missing = await place.run(['cp', 'nothing', 'archive/a.txt', '--if-exists', 'overwrite'])
    assert.deepEqual([missing.code, await textOf(place.disk, 'archive/a.txt')], [1, 'one'])
  })

  it('take type, headers and metadata along between two storages', async () => {
    const metadata = { by: 'Zoë' }
    const attributes = { contentType: 'text/markdown', cacheControl: 'no-store', metadata }
    await place.disk.save('notes/a', 'text', attributes)
    const args = ['--from', 'fs:./uploads', 'notes/a', 'moved/']
    const moved = await place.run(['mv', ...args], { env: server.env })
    assert.deepEqual(moved, { code: 0, stdout: 'moved/a\n', stderr: '' })
    const { contentType, cacheControl, metadata: kept } = await r2.stat('moved/a')
    assert.deepEqual({ contentType, cacheControl, metadata: kept }, attributes)
    assert.deepEqual([await textOf(r2, 'moved/a'), await place.disk.exists('notes/a')], ['text', false])
    const back = ['cp', '--to', 'fs:./uploads', 'moved/a', 'b', '--if-exists', 'error']
    assert.equal((await place.run(back, { env: server.env })).code, 0)
    assert.equal((await place.disk.stat('b')).contentType, 'text/markdown')
    assert.equal((await place.run(back, { env: server.env })).code, 4)
  })

  it('never delete a file that was moved onto itself by another address', async () => {
    await place.disk.save('a.txt', 'precious')
    await symlink('uploads', join(place.cwd, 'other'))
    const args = ['mv', '--from', 'fs:./uploads', '--to', 'fs:./other', 'a.txt', 'a.txt']
    const { code, stderr } = await place.run([...args, '--if-exists', 'overwrite'])
    assert.equal(code, 4)
    assert.match(stderr, /looks like the source itself, so the source was not deleted/)
    assert.equal(await textOf(place.disk, 'a.txt'), 'precious')
  })

  it('keep the source of a move whose copy fails', async () => {
    await place.disk.save('a.txt', 'precious')
    const env = { ...server.env, R2_BUCKET_NAME: 'no-such-bucket' }
    const { code, stderr } = await place.run(['mv', '--from', 'fs:./uploads', 'a.txt', 'a.txt'], { env })
    assert.equal(code, 1)
    assert.match(stderr, /^error: save "a\.txt": .*bucket/)
    assert.equal(await textOf(place.disk, 'a.txt'), 'precious')
  })
})
