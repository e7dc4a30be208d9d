/** What every command does when something is missing, refused, out of reach or full. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest'
import { recordsOf, usePlace } from './program.js'

const execute = promisify(execFile)
const place = usePlace()
let server: LocalR2
beforeAll(async () => {
  server = await startLocalR2()
})
afterAll(() => server.close())
beforeEach(() => writeFile(join(place.cwd, 'local.txt'), 'text'))

/** Commands that ask the storage for something. */
const COMMANDS = [
  ['get', 'missing.txt'],
  ['cat', 'missing.txt'],
  ['ls', 'missing'],
  ['stat', 'missing.txt'],
  ['rm', 'missing.txt'],
  ['rm', '--prefix', 'missing', '--yes'],
  ['cp', 'missing.txt', 'b.txt'],
  ['mv', 'missing.txt', 'b.txt', '--to', 'fs:./other'],
] as const
const STORING = [
  ['put', 'local.txt', 'a.txt'],
  ['sign', 'a.txt', '--put', '--size', '5'],
] as const

/** Runs commands, and holds each to what it must never do. Returns exit codes and outputs. */
async function failuresOf(commands: readonly (readonly string[])[], env: Record<string, string> = {}) {
  return Promise.all(
    commands.map(async (args) => {
      const { code, stdout, stderr } = await place.run(args, { env })
      assert.match(stderr, /^error: [^\n]{10,}\n$/)
      assert.doesNotMatch(stderr, / at .*:\d+|unexpected|X-Amz-Signature/)
      assert.ok(!stderr.includes(server.secretAccessKey), stderr)
      return `${code} ${stdout}`.trim()
    }),
  )
}

const all = (code: number, count: number) => Array.from({ length: count }, () => `${code}`)

describe('every command', () => {
  it('ends with 1 for a missing file, on disk and on R2', async () => {
    assert.deepEqual(await failuresOf(COMMANDS), all(1, COMMANDS.length))
    assert.deepEqual(await failuresOf(COMMANDS, server.env), all(1, COMMANDS.length))
  })

  it('ends with 1 for a missing bucket, which it names', async () => {
    const env = { ...server.env, R2_BUCKET_NAME: 'no-such-bucket' }
    const commands = [...COMMANDS, ...STORING]
    assert.deepEqual(await failuresOf(commands, env), all(1, commands.length))
    const { stderr } = await place.run(['ls'], { env })
    assert.match(stderr, /"no-such-bucket"/)
  })

  it('ends with 3 for a wrong key, and in JSON with the code', async () => {
    const env = { ...server.env, R2_SECRET_ACCESS_KEY: 'wrong'.repeat(8) }
    assert.deepEqual(await failuresOf([['ls'], ['cat', 'a'], ...STORING], env), all(3, 4))
    const { stderr } = await place.run(['stat', 'a', '--json'], { env })
    assert.equal(recordsOf(stderr)[0].error.code, 'PermissionDenied')
    assert.doesNotMatch(stderr, /wrongwrong/)
  })

  it('ends with 64 for variables that are missing, and names them', async () => {
    const ended = await place.run(['ls'], { env: { R2_ENABLED: '1', R2_BUCKET_NAME: 'files' } })
    assert.equal(ended.code, 64)
    assert.match(ended.stderr, /R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ENDPOINT_URL are not set/)
  })

  it('ends with 2 where nobody listens, within seconds', async () => {
    const env = { ...server.env, R2_ENDPOINT_URL: 'http://127.0.0.1:1' }
    const commands = [...COMMANDS, ...STORING]
    assert.deepEqual(await failuresOf(commands, env), all(2, commands.length))
    assert.deepEqual((await readdir(place.cwd)).sort(), ['local.txt'])
  })
})

describe('a full disk', () => {
  const onFullDisk = async (work: (folder: string) => Promise<void>) => {
    const folder = join(place.cwd, 'small')
    await mkdir(folder)
    await execute('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder])
    try {
      await work(folder)
    } finally {
      await execute('umount', ['-l', folder])
    }
  }

  it.skipIf(process.getuid?.() !== 0)('leaves nothing of a get and a put', async () => {
    await place.disk.save('big', 'x'.repeat(200_000))
    await writeFile(join(place.cwd, 'big'), 'x'.repeat(200_000))
    await onFullDisk(async (folder) => {
      const got = await place.run(['get', 'big', 'small/'])
      const message = 'error: small/big: no space left on device\n'
      assert.deepEqual(got, { code: 2, stdout: '', stderr: message })
      assert.deepEqual(await readdir(folder), [])
      const put = await place.run(['put', 'big', 'a', '--storage', 'fs:small'])
      assert.equal(put.code, 2)
      assert.match(put.stderr, /^error: save "a": .*full.*\n$/)
    })
  })

  it('is told where standard output is a file on it', async () => {
    await place.disk.save('a.txt', 'text')
    for (const command of ['cat a.txt', 'ls', 'stat a.txt', '--help']) {
      const line = `'${process.execPath}' '${place.program.path}' ${command} > /dev/full`
      const error = await execute('sh', ['-c', line], { cwd: place.cwd }).catch((error) => error)
      assert.deepEqual([error.code, error.stderr], [2, 'error: standard output: no space left on device\n'])
    }
  })
})
