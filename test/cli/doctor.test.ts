import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { describe, it } from 'vitest'
import { temporaryFilesIn } from '../integration/child/folders.js'
import { namesIn } from '../operations/storages.js'
import { recordsOf, usePlace, useServer } from './program.js'

const place = usePlace()
const r2 = useServer({ cors: true })

const run = (command: string, env: Readonly<Record<string, string>> = {}) =>
  place.program.run(command.split(' '), { cwd: place.cwd, env })
const onR2 = (command: string, more: Readonly<Record<string, string>> = {}) =>
  run(command, { ...r2.env, ...more })

describe('stowage doctor', () => {
  it('tells of each check by groups, says what to do, and leaves nothing', async () => {
    const { code, stdout, stderr } = await run('doctor')
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(
      stdout,
      /^Environment\n {2}\[!\] STORAGE_SIGNING_SECRET is not set.*\n {6}→ Set STORAGE_SIGNING_SECRET/,
    )
    assert.match(stdout, /\nDisk\n {2}\[✓\] .*\nFiles\n {2}\[✓\] .*\nAddresses\n {2}\[-\] /s)
    assert.match(stdout, /\n\nNo problems found, 1 warning, \d+ checks skipped\.\n$/)
    const root = join(place.cwd, 'uploads')
    assert.deepEqual(await namesIn(new FileSystemStorage({ location: root })), [])
    assert.deepEqual(await temporaryFilesIn(root), [])
  })

  it('says nothing with --quiet where nothing is wrong', async () => {
    assert.deepEqual(await run('doctor --quiet --storage fs:./uploads'), { code: 0, stdout: '', stderr: '' })
  })

  it('gives a record for each check with --json', async () => {
    const ended = await onR2('doctor --json --origin https://app.example.com')
    const records = recordsOf(ended.stdout)
    assert.equal(ended.code, 0)
    for (const record of records)
      assert.deepEqual(Object.keys(record).slice(0, 4), ['group', 'check', 'status', 'message'])
    assert.ok(records.some(({ check, status }) => check === 'signed-put' && status === 'ok'))
    assert.ok(records.some(({ group }) => group === 'Environment'))
    assert.deepEqual(await namesIn(r2.storage()), [])
  })

  it.each([
    ['a missing variable', 2, 'R2_BUCKET_NAME is not set.', { R2_BUCKET_NAME: '' }],
    [
      'a wrong secret',
      3,
      'The server knows the access key id, but the secret',
      { R2_SECRET_ACCESS_KEY: 'x'.repeat(64) },
    ],
    ['a wrong key', 3, 'The server does not know the access key id.', { R2_ACCESS_KEY_ID: 'x'.repeat(32) }],
    ['a wrong bucket', 1, 'There is no bucket "nope" on this server.', { R2_BUCKET_NAME: 'nope' }],
    ['a dead server', 2, 'Nothing listens at 127.0.0.1:9', { R2_ENDPOINT_URL: 'http://127.0.0.1:9' }],
  ])('gives %s one failure and one remedy', async (_, code, sentence, more: Record<string, string>) => {
    const { stdout, ...ended } = await onR2('doctor -q', more)
    assert.deepEqual(ended, { code, stderr: '' })
    const [group, problem, remedy, gap, closing, end] = stdout.split('\n')
    assert.match(group ?? '', /^(?:Environment|Server)$/)
    assert.ok(problem?.startsWith(`  [✗] ${sentence}`), stdout)
    assert.match(remedy ?? '', /^ {6}→ [A-Z].*\.$/)
    assert.match(closing ?? '', /^1 problem found, \d+ checks? skipped\.$/)
    assert.deepEqual([gap, end], ['', ''])
    assert.ok(!stdout.includes('x'.repeat(32)))
  })

  it('tells keys without any right on the bucket', async () => {
    r2.server.behaviour.onRequest = () => ({ status: 403, code: 'AccessDenied' })
    const ended = await onR2('doctor -q')
    assert.equal(ended.code, 3, ended.stdout)
    assert.match(ended.stdout, /\[✗\] The keys have no right on the bucket "test-bucket"\.\n/)
  })

  it('tells a root that is a file, and an address that is none', async () => {
    await writeFile(join(place.cwd, 'uploads'), '')
    const [file, none] = await Promise.all([run('doctor -q'), run('doctor --storage uploads')])
    assert.deepEqual([file.code, none.code, none.stdout], [2, 64, ''])
    assert.match(file.stdout, /\[✗\] .* is not a folder\.\n {6}→ /)
  })

  it('fits into a terminal of 40 columns', async () => {
    const env = { NO_COLOR: '1' }
    const { screen, ended } = place.program.startInTerminal(['doctor'], { cwd: place.cwd, columns: 40, env })
    assert.equal(await ended, 0, screen())
    const lines = screen().split('\r\n')
    assert.ok(lines.length > 20)
    for (const line of lines) assert.ok(line.length < 40 || !line.includes(' ', 6), line)
    // One reason for several checks is told once.
    assert.equal(screen().match(/\[-\] Addresses begin/g)?.length, 1)
  })
})
