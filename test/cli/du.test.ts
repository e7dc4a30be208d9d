import assert from 'node:assert/strict'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest'
import { LEGAL_NAMES } from '../../src/testing/odd-names.js'
import { newFolder } from '../integration/child/folders.js'
import { Program, recordsOf } from './program.js'

let program: Program
let cwd: string
beforeAll(async () => {
  program = await Program.build()
})
afterAll(() => program.remove())
beforeEach(async () => {
  cwd = await newFolder()
})

const run = (command: string) => program.run(command.split(' '), { cwd })
async function fill(files: Readonly<Record<string, number>>) {
  const storage = new FileSystemStorage({ location: join(cwd, 'uploads'), fsync: false })
  for (const [name, size] of Object.entries(files)) await storage.save(name, Buffer.alloc(size))
}
const FILES = {
  'documents/42/plan.pdf': 3000,
  'documents/7/deed.pdf': 1000,
  'voice_notes/1.webm': 500,
  'a.txt': 2,
}

describe('stowage du', () => {
  it('prints cells between tabs for programs', async () => {
    await fill(FILES)
    const { code, stdout, stderr } = await run('du --reads 20000000 --egress 500.5')
    assert.deepEqual([code, stderr], [0, ''])
    const rows = stdout.split('\n').map((line) => line.split('\t'))
    const kind = (wanted: string) => rows.filter(([kind]) => kind === wanted).map((row) => row.slice(1))
    assert.deepEqual(kind('total'), [['', '4', '4502']])
    assert.deepEqual(kind('folder'), [
      ['documents', '2', '4000'],
      ['voice_notes', '1', '500'],
      ['.', '1', '2'],
    ])
    assert.deepEqual(kind('type')[0], ['application/pdf', '2', '4000'])
    assert.deepEqual(kind('largest')[0]?.slice(0, 2), ['documents/42/plan.pdf', '3000'])
    assert.equal(kind('oldest').length, 4)
    assert.equal(kind('month').length, 1)
    assert.deepEqual(
      kind('cost').filter(([provider]) => provider === 'r2'),
      [
        ['r2', 'storage', '0'],
        ['r2', 'reads', '3.6'],
        ['r2', 'writes', '0'],
        ['r2', 'egress', '0'],
        ['r2', 'total', '3.6'],
      ],
    )
    assert.match(kind('prices')[0]?.[0] ?? '', /^\d{4}-\d\d$/)
  })

  it('tells deeper folders apart, and looks at one folder only', async () => {
    await fill(FILES)
    const [found] = recordsOf((await run('du documents --depth 1 --json')).stdout)
    assert.deepEqual(found?.folders, [
      { name: 'documents/42', files: 1, bytes: 3000 },
      { name: 'documents/7', files: 1, bytes: 1000 },
    ])
  })

  it.each([40, 100])('draws charts that fit into %d columns', async (columns) => {
    await fill({ ...FILES, [`${'long '.repeat(20)}/日本語.txt`]: 10 })
    const { screen, ended } = program.startInTerminal(['du'], { cwd, columns, env: { NO_COLOR: '1' } })
    assert.equal(await ended, 0, screen())
    const lines = screen().split('\r\n')
    const charts = lines.filter((line) => / files?$/.test(line) && line.startsWith('  '))
    assert.ok(charts.length >= 7, screen())
    for (const line of charts) assert.ok(line.length < columns, line)
    assert.match(screen(), /documents .*█+ .*3\.9 KiB {2}2 files/)
    assert.match(screen(), /long .*…/)
    assert.match(screen(), /dollars a month +R2 +S3/)
    assert.match(screen(), /prices of \d{4}-\d\d/)
  })

  it('tells types that begin alike apart in 40 columns', async () => {
    await fill({ 'a.exe': 1, 'b.bin': 2, 'c.tar': 3 })
    const { screen, ended } = program.startInTerminal(['du'], { cwd, columns: 40, env: { NO_COLOR: '1' } })
    assert.equal(await ended, 0, screen())
    const types = [...screen().matchAll(/^ {2}(application\S+)/gm)].map(([, type]) => type)
    assert.deepEqual([types.length, new Set(types).size], [3, 3], screen())
  })

  it('says that a file is no folder', async () => {
    await fill({ 'docs/a.txt': 1 })
    const { code, stderr } = await run('du docs/a.txt')
    assert.deepEqual([code, stderr], [64, 'error: docs/a.txt is a file: stowage stat says its size\n'])
  })

  it('gives every odd name back in one object, and none of them forges a line', async () => {
    const names = Object.values(LEGAL_NAMES).flat()
    await fill(Object.fromEntries(names.map((name, index) => [`${index}/${name}/x`, index])))
    const [json, plain] = await Promise.all([run('du --depth 3 --json'), run('du --depth 3')])
    const [found, ...others] = recordsOf(json.stdout)
    assert.deepEqual(others, [])
    const folders = ((found?.folders ?? []) as { name: string }[]).map(({ name }) => name)
    for (const [index, name] of names.entries()) {
      if (name.split('/').length > 2) continue
      assert.ok(folders.includes(`${index}/${name}`), name)
    }
    for (const { stdout } of [json, plain]) {
      assert.doesNotMatch(stdout, /[\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
    }
    const rows = plain.stdout.split('\n').filter((line) => line.startsWith('folder\t'))
    assert.deepEqual(
      [rows.length, new Set(rows.map((row) => row.split('\t').length))],
      [folders.length, new Set([4])],
    )
  })

  it.each([
    ['du nowhere', 1, 'error: there are no files in nowhere\n'],
    ['du ../x', 64, /^error: .*\n$/],
    ['du --egress much', 64, 'error: "much" is not a number of gigabytes\n'],
    ['du --depth -1', 64, /^error: .*\n$/],
  ])('refuses %s', async (command, code, sentence) => {
    await fill({ 'a.txt': 1 })
    const ended = await run(command)
    assert.deepEqual([ended.code, ended.stdout], [code, ''])
    if (typeof sentence === 'string') assert.equal(ended.stderr, sentence)
    else assert.match(ended.stderr, sentence)
  })

  it('says of an empty storage that there is nothing', async () => {
    const [found] = recordsOf((await run('du --json')).stdout)
    assert.deepEqual([found?.files, found?.bytes], [0, 0])
  })
})
