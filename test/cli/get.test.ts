import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { recordsOf, usePlace } from './program.js'

const place = usePlace()
const local = (file: string) => readFile(join(place.cwd, file), 'utf8')

describe('stowage get', () => {
  it('writes a file under its own name, another one, into a folder, and to standard output', async () => {
    await place.disk.save('documents/42/report.txt', 'the report')
    await mkdir(join(place.cwd, 'folder'))
    const get = (...args: string[]) => place.run(['get', 'documents/42/report.txt', ...args])
    const [own, other, inFolder, out] = await Promise.all([get(), get('b.txt'), get('folder'), get('-')])
    assert.deepEqual(own, { code: 0, stdout: 'report.txt\n', stderr: '' })
    assert.deepEqual(
      [other.stdout, inFolder.stdout, out.stdout],
      ['b.txt\n', 'folder/report.txt\n', 'the report'],
    )
    assert.deepEqual(await Promise.all(['report.txt', 'b.txt', 'folder/report.txt'].map(local)), [
      'the report',
      'the report',
      'the report',
    ])
  })

  it('keeps a local file unless it is told to overwrite it', async () => {
    await place.disk.save('a.txt', 'new')
    await writeFile(join(place.cwd, 'a.txt'), 'mine', { mode: 0o600 })
    await symlink('a.txt', join(place.cwd, 'link.txt'))
    const kept = await place.run(['get', 'a.txt'])
    const message = 'error: a.txt exists: give another name, or --if-exists overwrite\n'
    assert.deepEqual([kept, await local('a.txt')], [{ code: 4, stdout: '', stderr: message }, 'mine'])
    const args = ['get', 'a.txt', 'link.txt', '--if-exists', 'overwrite', '--json']
    assert.deepEqual(recordsOf((await place.run(args)).stdout), [
      { name: 'a.txt', file: 'link.txt', size: 3 },
    ])
    assert.equal(await local('a.txt'), 'new')
    assert.deepEqual((await readdir(place.cwd)).sort(), ['a.txt', 'link.txt', 'uploads'])
  })

  it('leaves no file where there is none to fetch or no folder to write to', async () => {
    await place.disk.save('a.txt', 'text')
    const [missing, nowhere] = await Promise.all([
      place.run(['get', 'b.txt']),
      place.run(['get', 'a.txt', 'nowhere/']),
    ])
    assert.deepEqual([missing.code, nowhere.code], [1, 1])
    assert.match(missing.stderr, /^error: open "b\.txt": there is no such file/)
    assert.equal(nowhere.stderr, 'error: nowhere/: there is no such folder\n')
    assert.deepEqual(await readdir(place.cwd), ['uploads'])
  })
})

describe('stowage cat', () => {
  it('prints files one after the other, tells a missing one and goes on', async () => {
    await place.disk.save('a.txt', 'one\n')
    await place.disk.save('b.bin', Uint8Array.of(0, 255, 10))
    const { code, stdout, stderr } = await place.run(['cat', 'a.txt', 'missing', '../x', 'b.bin'])
    assert.deepEqual([code, stdout], [64, 'one\n\0\ufffd\n'])
    assert.match(stderr, /^error: open "missing": there is no such file.*\nerror: open "..\/x": /)
  })
})
