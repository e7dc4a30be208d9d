import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileSystemStorage } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { LEGAL_NAMES } from '../../src/testing/odd-names.js'
import { mountSmall, unmountAll, whyNoMounts } from '../chaos/mounts.js'
import { seen } from './ended.js'
import { type Ended, recordsOf, usePlace, useServer } from './program.js'

const place = usePlace()
const r2 = useServer()

const fill = async (folder: string, files: Readonly<Record<string, string>>) => {
  const storage = new FileSystemStorage({ location: join(place.cwd, folder), fsync: false })
  for (const [name, content] of Object.entries(files))
    await storage.save(name, content, { ifExists: 'overwrite' })
  return storage
}
const contentsOf = async (folder: string) => {
  const storage = new FileSystemStorage({ location: join(place.cwd, folder) })
  const found: Record<string, string> = {}
  for await (const { name } of storage.list()) found[name] = await (await storage.open(name)).text()
  return found
}
const run = (command: string, more: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  place.program.run(command.split(' '), { cwd: place.cwd, env: more })
const withoutTime = (text: string) =>
  text.replace(/in \d+ s$/m, 'in … s').replace(/"seconds":[\d.]+/, '"seconds":0')

const FILES = { 'a.txt': 'a', 'docs/b.txt': 'bb', 'docs/c.txt': 'ccc' }

describe('stowage migrate', () => {
  it('copies what is missing, and tells each file that the target has with other content', async () => {
    await fill('old', FILES)
    await fill('new', { 'a.txt': 'b', 'docs/b.txt': 'bb' })
    const first = await run('migrate --from fs:./old --to fs:./new')
    assert.equal(first.code, 4)
    assert.equal(
      withoutTime(first.stdout),
      'copied 1 file (3 B), skipped 1 that were there, failed 1, in … s\n',
    )
    assert.match(first.stderr, /^failed: .*"a\.txt".*--if-exists overwrite would replace it\n$/)
    const json = await run('migrate --from fs:./old --to fs:./new --json')
    const [failure, summary] = recordsOf(json.stdout)
    assert.deepEqual([json.code, json.stderr, failure?.name], [4, '', 'a.txt'])
    assert.match(JSON.stringify(failure?.error), /^\{"code":"AlreadyExists","message":/)
    assert.deepEqual({ ...summary, seconds: 0 }, { copied: 0, skipped: 2, failed: 1, bytes: 0, seconds: 0 })
    const overwritten = await run('migrate --from fs:./old --to fs:./new --if-exists overwrite')
    assert.equal(overwritten.code, 0)
    assert.deepEqual(await contentsOf('new'), FILES)
  })

  it('copies one folder into another, in parts, and writes nothing on a dry run', async () => {
    await fill('old', FILES)
    const options = '--from fs:./old --to fs:./new --prefix docs --target-prefix 7/x'
    const dry = await run(`migrate ${options} --dry-run`)
    assert.equal(dry.stdout, 'would have copied 2 files (5 B), skipped 0 that were there, failed 0\n')
    assert.deepEqual(await contentsOf('new'), {})
    const parts = await Promise.all(
      [1, 2, 3].map((part) => run(`migrate ${options} --shard ${part}/3 --json`)),
    )
    assert.deepEqual(
      parts.map(({ code }) => code),
      [0, 0, 0],
    )
    assert.equal(
      parts.reduce((sum, part) => sum + Number(recordsOf(part.stdout)[0]?.copied), 0),
      2,
    )
    assert.deepEqual(await contentsOf('new'), { '7/x/b.txt': 'bb', '7/x/c.txt': 'ccc' })
  })

  it('ends in order on Ctrl-C, says what was done, and goes on from there', async () => {
    await fill(
      'old',
      Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}.txt`, `${index}`])),
    )
    r2.server.behaviour.delayMs = 100
    const { env, target } = onServer()
    const args = ['migrate', '--from', 'fs:./old', '--concurrency', '4']
    const { terminal, screen, ended } = place.program.startInTerminal(args, {
      cwd: place.cwd,
      env,
      columns: 60,
    })
    await seen(screen, / [4-9] files/)
    terminal.write('\u0003')
    assert.equal(await ended, 130, screen())
    assert.match(
      screen(),
      /interrupted: copied \d+ files \(\d+ B\), skipped 0.* the same command goes on from there/s,
    )
    const stored = await namesOf(target)
    assert.ok(stored.length >= 4 && stored.length < 40, String(stored.length))
    r2.server.behaviour.delayMs = 0
    const [summary] = recordsOf((await run('migrate --from fs:./old --json', env)).stdout)
    assert.deepEqual([summary?.copied, summary?.skipped], [40 - stored.length, stored.length])
    assert.equal((await run('compare --from fs:./old', env)).code, 0)
  })

  it('shows a bar with a total in a terminal, and failures above it', async () => {
    await fill('old', FILES)
    await fill('new', { 'a.txt': 'b' })
    const args = ['migrate', '--from', 'fs:./old', '--to', 'fs:./new']
    const { screen, ended } = place.program.startInTerminal(args, { cwd: place.cwd, columns: 40 })
    assert.equal(await ended, 4, screen())
    assert.match(screen(), /copying .*3 files.*copied 2 files/s)
    assert.match(screen(), /\r\u001B\[K.*failed:.* migrate "a\.txt"/)
  })

  it.each([
    [
      'a source without files',
      'migrate --from fs:./nothing --to fs:./new',
      1,
      /there are no files in .*nothing/,
    ],
    ['a wrong bucket', 'migrate --from fs:./old --to r2:nope', 1, /the bucket "nope" does not exist/],
    [
      'a wrong secret',
      'migrate --from fs:./old --to r2:test-bucket',
      3,
      /check the secret access key/,
      { R2_SECRET_ACCESS_KEY: 'x'.repeat(64) },
    ],
    [
      'no network',
      'compare --from fs:./old',
      2,
      /refuses connections/,
      { R2_ENDPOINT_URL: 'http://127.0.0.1:9' },
    ],
    ['a wrong part', 'migrate --from fs:./old --shard 3/2', 64, /"3\/2" is not a part such as 1\/4/],
    ['no storages', 'migrate', 64, /give --from or --to/],
    ['one storage twice', 'migrate --from fs:./old --to fs:./old', 64, /same|overlap/],
  ])('says what is wrong with %s', async (_, command, code, sentence, more: Record<string, string> = {}) => {
    await fill('old', { 'a.txt': 'a' })
    const { env } = onServer()
    const ended = await run(command, { ...env, ...more })
    assert.equal(ended.code, code, ended.stderr)
    assert.match(ended.stderr, new RegExp(`^error: .*(?:${sentence.source}).*\\n$`))
    assert.ok(!ended.stderr.includes(env.R2_SECRET_ACCESS_KEY))
    assert.equal(ended.stdout, '')
  })

  const noMounts = whyNoMounts()
  afterEach(unmountAll)
  it('tells each file that a full disk has refused', async (context) => {
    if ((await noMounts) !== undefined) return context.skip()
    await fill('old', { 'a.bin': 'a'.repeat(50_000), 'b.bin': 'b'.repeat(50_000) })
    const full = await mountSmall('size=64k')
    const ended = await run(`migrate --from fs:./old --to fs:${full} --concurrency 1`)
    assert.equal(ended.code, 2)
    assert.match(ended.stdout, /^copied 1 file .*, failed 1, /)
    assert.match(ended.stderr, /^failed: .*the disk is full.*\n$/)
  })
})

describe('stowage mirror', () => {
  it('asks on a terminal before it deletes', async () => {
    await fill('old', FILES)
    await fill('new', { 'extra.txt': 'x' })
    const args = ['mirror', '--from', 'fs:./old', '--to', 'fs:./new']
    for (const [answer, code] of [
      ['n\r', 0],
      ['\u0003', 130],
    ] as const) {
      const { terminal, screen, ended } = place.program.startInTerminal(args, { cwd: place.cwd, columns: 40 })
      await seen(screen, /Delete 1 file of .*\[y\/N\] /s)
      terminal.write(answer)
      assert.equal(await ended, code, screen())
      assert.match(screen(), /nothing was changed/)
    }
    assert.deepEqual(await contentsOf('new'), { 'extra.txt': 'x' })
    const { terminal, screen, ended } = place.program.startInTerminal(args, { cwd: place.cwd, columns: 40 })
    await seen(screen, /\[y\/N\] /)
    terminal.write('y\r')
    assert.equal(await ended, 0, screen())
    assert.match(screen(), /copied 3 files \(6 B\), deleted 1, skipped 0/)
    assert.deepEqual(await contentsOf('new'), FILES)
  })

  it('needs --yes where nobody can be asked, and only if there is something to delete', async () => {
    await fill('old', FILES)
    await fill('new', { 'extra.txt': 'x' })
    const options = '--from fs:./old --to fs:./new'
    const refused = await run(`mirror ${options}`)
    assert.equal(refused.code, 64)
    assert.match(refused.stderr, /Delete 1 file of .*: give --yes/)
    assert.deepEqual(await contentsOf('new'), { 'extra.txt': 'x' })
    const few = await run(`mirror ${options} --yes --max-deletes 0`)
    assert.deepEqual([few.code, few.stderr.includes('--max-deletes allows more')], [64, true])
    const done = await run(`mirror ${options} --yes --json`)
    assert.deepEqual(
      { ...recordsOf(done.stdout)[0], seconds: 0 },
      { copied: 3, skipped: 0, deleted: 1, failed: 0, bytes: 6, seconds: 0 },
    )
    const again = await run(`mirror ${options}`)
    assert.match(again.stdout, /^copied 0 files \(0 B\), deleted 0, skipped 3 that were there, failed 0/)
  })

  it('refuses an empty source, except with --force', async () => {
    await fill('new', { 'extra.txt': 'x' })
    const refused = await run('mirror --from fs:./nothing --to fs:./new --yes')
    assert.equal(refused.code, 64)
    assert.match(refused.stderr, /the source is empty.*--force does so/)
    assert.equal((await run('mirror --from fs:./nothing --to fs:./new --yes --force')).code, 0)
    assert.deepEqual(await contentsOf('new'), {})
  })
})

describe('stowage compare', () => {
  it('prints the signs of rclone, and a summary on stderr', async () => {
    await fill('old', { 'changed.txt': '1', 'missing.txt': 'm', 'same.txt': 's' })
    await fill('new', { 'changed.txt': '2', 'extra.txt': 'x', 'same.txt': 's' })
    const all = await run('compare --from fs:./old --to fs:./new')
    assert.deepEqual([all.code, all.stdout], [4, '* changed.txt\n- extra.txt\n+ missing.txt\n= same.txt\n'])
    assert.equal(
      all.stderr,
      '1 same, 1 missing at the target, 1 only at the target, 1 different, 0 not compared\n',
    )
    const differences = await run('compare --from fs:./old --to fs:./new --differences --json')
    assert.deepEqual(recordsOf(differences.stdout), [
      { name: 'changed.txt', status: 'differs' },
      { name: 'extra.txt', status: 'extra' },
      { name: 'missing.txt', status: 'missing' },
    ])
  })

  it('gives every odd name back, and none of them forges a line', async () => {
    const names = Object.values(LEGAL_NAMES).flat()
    const storage = await fill(
      'odd',
      Object.fromEntries(names.map((name, index) => [`${index}/${name}`, ''])),
    )
    const expected = await namesOf(storage)
    const command = 'compare --from fs:./odd --to fs:./nothing'
    const [json, plain, terminal] = await Promise.all([
      run(`${command} --json`),
      run(command),
      inTerminal(command),
    ])
    assert.deepEqual(
      recordsOf(json.stdout).map(({ name }) => name),
      expected,
    )
    for (const text of [json.stdout, plain.stdout, terminal]) {
      assert.doesNotMatch(text, /[\u0080-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/)
    }
    assert.equal(plain.stdout.split('\n').length, expected.length + 1)
    assert.match(terminal, /bidi\\u\{202e\}fdp\.exe/)
  })

  it('tells the names that the naming rule refuses', async () => {
    const storage = await fill('old', { 'a.txt': 'a' })
    await fill('new', { 'a.txt': 'a' })
    await writeFile(join(dirname(storage.path('a.txt')), 'forged\n= b.txt'), '')
    const ended = await run('compare --from fs:./old --to fs:./new')
    assert.deepEqual([ended.code, ended.stdout], [2, '= a.txt\n! forged\\u{a}= b.txt\n'])
  })

  it('ends quietly when nobody reads on', async () => {
    const files = Array.from({ length: 400 }, (_, index) => [`${'long'.repeat(50)}-${index}.txt`, ''])
    await fill('old', Object.fromEntries(files))
    const child = place.program.start(['compare', '--from', 'fs:./old', '--to', 'fs:./nothing'], {
      cwd: place.cwd,
    })
    child.stdin.end()
    let talk = ''
    child.stderr.on('data', (data) => {
      talk += data
    })
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [code] = await once(child, 'close')
    assert.deepEqual([code, talk], [0, ''])
  })
})

async function inTerminal(command: string): Promise<string> {
  const { screen, ended } = place.program.startInTerminal(command.split(' '), { cwd: place.cwd, columns: 40 })
  await ended
  await sleep(50) // The last of the screen.
  return screen()
}

function onServer() {
  const target = r2.storage()
  return { env: r2.env, target }
}

async function namesOf(storage: { list(): AsyncIterable<{ name: string }> }): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list()) names.push(name)
  return names
}
