import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { LEGAL_NAMES, LONG_NAMES } from '../../src/testing/odd-names.js'
import { recordsOf, usePlace } from './program.js'

const place = usePlace()
const lines = (...text: string[]) => text.map((line) => `${line}\n`).join('')

describe('stowage ls', () => {
  it('lists a folder, all below it, or one file', async () => {
    for (const name of ['a.txt', 'docs/b.txt', 'docs/42/c.txt']) await place.disk.save(name, 'text')
    const [root, folder, all, file] = await Promise.all([
      place.run(['ls']),
      place.run(['ls', 'docs/']),
      place.run(['ls', '--recursive', 'docs']),
      place.run(['ls', 'docs/b.txt', '--json']),
    ])
    const spelt = await place.run(['ls', './docs//', '--json'])
    assert.deepEqual(recordsOf(spelt.stdout), [{ name: 'docs/42/' }, { name: 'docs/b.txt' }])
    assert.deepEqual(root, { code: 0, stdout: lines('docs/', 'a.txt'), stderr: '' })
    assert.equal(folder.stdout, lines('42/', 'b.txt'))
    assert.equal(all.stdout, lines('docs/42/c.txt', 'docs/b.txt'))
    assert.deepEqual(recordsOf(file.stdout), [{ name: 'docs/b.txt' }])
  })

  it('shows sizes and times in order, also beside folders', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `docs/${index + 10}.txt`)
    for (const name of names) await place.disk.save(name, name)
    const flat = await place.run(['ls', '-l', 'docs'])
    assert.equal(flat.stdout.split('\n').length, 41)
    assert.match(flat.stdout, /^ {7}11 B {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}10\.txt\n/)
    await place.disk.save('docs/folder/x.txt', 'x')
    const mixed = await place.run(['ls', '-l', 'docs', '--json'])
    const [folder, ...files] = recordsOf(mixed.stdout)
    assert.deepEqual(folder, { name: 'docs/folder/' })
    assert.deepEqual(
      files.map(({ name, size }) => [name, size]),
      names.map((name) => [name, name.length]),
    )
    assert.deepEqual(Object.keys(files[0]), ['name', 'size', 'lastModified', 'etag'])
  })

  it('tells a missing folder, but not an empty storage', async () => {
    const [empty, missing] = await Promise.all([place.run(['ls']), place.run(['ls', 'nothing'])])
    assert.deepEqual(empty, { code: 0, stdout: '', stderr: '' })
    assert.deepEqual([missing.code, missing.stdout], [1, ''])
    assert.equal(missing.stderr, 'error: ls "nothing": there is no such file or folder\n')
  })

  it('gives every odd name back in JSON, one line each, and never a line that a name has forged', async () => {
    // A disk has no file and folder of one name.
    const odd = [...Object.values(LEGAL_NAMES).flat(), ...LONG_NAMES.map(({ name }) => name)]
    const isFolder = (name: string) => odd.some((other) => other.startsWith(`${name}/`))
    const names = odd.filter((name) => !isFolder(name)).map((name) => `odd/${name}`)
    for (const name of names.filter((name) => Buffer.byteLength(name) <= 1024))
      await place.disk.save(name, '')
    const listed = await place.run(['ls', '-r', '--json'])
    assert.deepEqual(
      recordsOf(listed.stdout)
        .map(({ name }) => name)
        .sort(),
      names.sort(),
    )
    const found = await place.run(['stat', '--json', '--', ...names])
    assert.deepEqual([found.code, found.stderr], [0, ''])
    assert.deepEqual(
      recordsOf(found.stdout).map(({ name }) => name),
      names,
    )
    for (const text of [listed.stdout, found.stdout, (await place.run(['ls', '-r'])).stdout]) {
      assert.equal(text.split('\n').length, names.length + 1)
      assert.doesNotMatch(text, /[^\P{C}\n\p{Co}\p{Cn}]|[\u2028\u2029]/u)
    }
  })

  it('tells names that break the rule on lines of their own, escaped', async () => {
    const folder = join(place.cwd, 'uploads', 'docs')
    await mkdir(join(folder, 'sub\u001b[2Jfolder'), { recursive: true })
    const forged = ['a\nerror: all files are lost', 'b\r\u001b[31mred', 'c\u202Efdp.exe', 'd\u009b2J']
    for (const name of forged) await writeFile(join(folder, name), '')
    const level = await place.run(['ls', 'docs'])
    assert.deepEqual([level.code, level.stdout], [0, lines('c\\u{202e}fdp.exe')])
    const told = [
      'docs/a\\u{a}error: all files are lost',
      'docs/b\\u{d}\\u{1b}[31mred',
      'docs/d\\u{9b}2J',
      'docs/sub\\u{1b}[2Jfolder/',
    ]
    const notListed = told.map((name) => `not listed, the name breaks the naming rule: ${name}`)
    assert.deepEqual(level.stderr.trimEnd().split('\n').sort(), notListed)
    const all = await place.run(['ls', '-r'])
    assert.deepEqual(
      [all.stdout, all.stderr.trimEnd().split('\n').sort()],
      [lines('docs/c\\u{202e}fdp.exe'), notListed],
    )
    const missing = await place.run(['stat', ...forged.map((name) => `x/${name}`)])
    assert.equal(missing.stderr.trimEnd().split('\n').length, forged.length)
    assert.doesNotMatch(missing.stderr, /[^\P{C}\n]/u)
  })
})

describe('stowage stat', () => {
  it('shows all about a file, and tells a missing one', async () => {
    const metadata = { by: 'Zoë\u202e' }
    await place.disk.save('a.txt', 'x'.repeat(2000), { cacheControl: 'no-store', metadata })
    const { code, stdout, stderr } = await place.run(['stat', 'a.txt', 'missing'])
    assert.equal(code, 1)
    assert.match(stdout, /^name: {10}a\.txt\nsize: {10}2\.0 KiB \(2000 bytes\)\ntype: {10}text\/plain\n/)
    assert.match(stdout, /\ncache-control: no-store\nmetadata by: {3}Zoë\\u\{202e\}\n$/)
    assert.match(stderr, /^error: stat "missing": there is no such file\n$/)
  })
})
