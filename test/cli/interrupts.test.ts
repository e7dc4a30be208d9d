/** Ctrl-C, other signals, and readers that leave. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createDefaultStorage } from 'stowage'
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest'
import { type StrictR2, startStrictR2 } from '../servers/r2.js'
import { type Ended, usePlace } from './program.js'

const place = usePlace()
let server: StrictR2
let env: Record<string, string>
beforeAll(async () => {
  server = await startStrictR2()
  env = {
    R2_ENABLED: '1',
    R2_ENDPOINT_URL: server.endpoint,
    R2_BUCKET_NAME: 'test-bucket',
    R2_ACCESS_KEY_ID: server.accessKeyId,
    R2_SECRET_ACCESS_KEY: server.secretAccessKey,
  }
})
afterEach(() => server.reset())
afterAll(() => server.stop())

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await setTimeout(10)
}

/** Starts a command, and sends it a signal at some moment, or several. */
async function interrupted(
  args: readonly string[],
  when: () => boolean | Promise<boolean>,
  signals: readonly NodeJS.Signals[] = ['SIGINT'],
): Promise<Ended> {
  const child = place.program.start(args, { cwd: place.cwd, env })
  child.stdin.on('error', () => {})
  if (args.includes('-')) child.stdin.write(Buffer.alloc(40 * 1024 * 1024))
  const ended = once(child, 'close')
  const output = Promise.all([text(child.stdout), text(child.stderr)])
  await until(when)
  for (const signal of signals) {
    child.kill(signal)
    await setTimeout(50)
  }
  const [[code], [stdout, stderr]] = await Promise.all([ended, output])
  return { code, stdout, stderr }
}

const parts = async () => (await readdir(place.cwd)).filter((file) => file.endsWith('.part'))
/** An object whose bytes never all arrive. */
async function saveHuge(name: string) {
  server.behaviour.discardBodiesOver = 1024
  await createDefaultStorage(env).save(name, Buffer.alloc(8 * 1024 * 1024))
  server.behaviour.onRequest = ({ operation }) =>
    operation === 'GetObject' ? { stallAfter: 1024 * 1024 } : undefined
}

describe('Ctrl-C', () => {
  it('leaves nothing of a put', async () => {
    const ended = await interrupted(['put', '-', 'a.bin'], () => server.openUploads > 0)
    assert.deepEqual(ended, { code: 130, stdout: '', stderr: 'error: interrupted: nothing was stored\n' })
    assert.deepEqual([server.openUploads, server.bucket().size], [0, 0])
  })

  it('leaves nothing of a get, nor do SIGTERM and a second Ctrl-C', async () => {
    await saveHuge('a.bin')
    const isWriting = async () => (await parts()).length > 0
    const first = await interrupted(['get', 'a.bin'], isWriting)
    const stderr = 'error: interrupted: a.bin was not written\n'
    assert.deepEqual(first, { code: 130, stdout: '', stderr })
    const terminated = await interrupted(['get', 'a.bin'], isWriting, ['SIGTERM'])
    assert.equal(terminated.code, 143)
    const twice = await interrupted(['get', 'a.bin'], isWriting, ['SIGINT', 'SIGINT'])
    assert.equal(twice.code, 130)
    assert.deepEqual(await readdir(place.cwd), [])
  })

  it('keeps the source of a move', async () => {
    await place.disk.save('a.bin', 'precious')
    let isStoring = false
    server.behaviour.onRequest = ({ operation }) => {
      isStoring ||= operation === 'PutObject'
      return isStoring ? 'hang' : undefined
    }
    const args = ['mv', '--from', 'fs:./uploads', 'a.bin', 'a.bin', '--if-exists', 'overwrite']
    const ended = await interrupted(args, () => isStoring)
    assert.deepEqual(ended, { code: 130, stdout: '', stderr: 'error: interrupted: nothing was changed\n' })
    assert.equal(await place.disk.exists('a.bin'), true)
  })

  it('works while the storage does not answer, which is told on a terminal', async () => {
    server.behaviour.onRequest = () => 'hang'
    const { terminal, shows, screen, ended } = place.program.startInTerminal(['ls'], { cwd: place.cwd, env })
    await shows('waiting for R2Storage(test-bucket)')
    terminal.write('\u0003')
    assert.equal(await ended, 130, screen())
  })
})

describe('a closed pipe', () => {
  const piped = async (command: string) => {
    const line = `'${process.execPath}' '${place.program.path}' ${command}; echo "\${PIPESTATUS[0]}"`
    return promisify(execFile)('bash', ['--norc', '-c', line], {
      cwd: place.cwd,
      env: { PATH: process.env.PATH, ...env },
    })
  }

  it('ends a listing and an endless content quietly', async () => {
    const storage = createDefaultStorage(env)
    for (let index = 0; index < 20; index++) await storage.save(`many/${index}`, '')
    assert.deepEqual(await piped('ls -r many | head -1'), { stdout: 'many/0\n0\n', stderr: '' })
    server.behaviour.discardBodiesOver = 1024
    await storage.save('huge', Buffer.alloc(16 * 1024 * 1024))
    assert.deepEqual(await piped('cat huge | head -c 0'), { stdout: '0\n', stderr: '' })
    assert.deepEqual(await piped('cat huge huge huge | head -c 0'), { stdout: '0\n', stderr: '' })
    assert.deepEqual(await piped('--help | true'), { stdout: '0\n', stderr: '' })
  })

  it('does not stop what is stored', async () => {
    await writeFile(join(place.cwd, 'a.txt'), 'text')
    assert.deepEqual(await piped('put a.txt a.txt | true'), { stdout: '0\n', stderr: '' })
    assert.ok(server.bucket().get('a.txt'))
  })
})
