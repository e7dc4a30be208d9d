import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createDefaultStorage } from 'stowage'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { recordsOf, textOf, usePlace } from './program.js'

const place = usePlace()
let server: LocalR2
beforeAll(async () => {
  server = await startLocalR2()
})
afterAll(() => server.close())

describe('stowage url and sign', () => {
  it('prints public addresses, one a line', async () => {
    const { code, stdout } = await place.run(['url', 'a b.txt', '../x', 'ü.png'])
    assert.deepEqual([code, stdout], [64, '/uploads/a%20b.txt\n/uploads/%C3%BC.png\n'])
  })

  it('prints addresses that work until they expire', async () => {
    await createDefaultStorage(server.env).save('a.txt', 'private')
    const args = ['sign', 'a.txt', '--expires', '2h', '--download', 'Réport.txt']
    const { code, stdout, stderr } = await place.run(args, { env: server.env })
    assert.deepEqual([code, stderr], [0, ''])
    const answer = await fetch(stdout.trim())
    assert.equal(await answer.text(), 'private')
    assert.match(answer.headers.get('content-disposition') ?? '', /^attachment; .*R%C3%A9port\.txt/)
    assert.match(stdout, /X-Amz-Expires=7200/)
  })

  it('prints an upload and its headers, and the curl line on a terminal works', async () => {
    const args = ['sign', 'photos/1.png', '--put', '--size', '5KB']
    const { stdout } = await place.run([...args, '--json'], { env: server.env })
    const [{ method, url, headers, name, expiresAt }] = recordsOf(stdout)
    assert.deepEqual([method, name, headers['content-type']], ['PUT', 'photos/1.png', 'image/png'])
    assert.ok(Date.parse(expiresAt) > Date.now())
    assert.equal((await fetch(url, { method, headers, body: 'x'.repeat(4999) })).ok, false)
    const shown = place.program.startInTerminal(args, { cwd: place.cwd, env: server.env, columns: 2000 })
    assert.equal(await shown.ended, 0)
    assert.match(shown.screen(), /content-type: image\/png\r\n/)
    const line = /^curl .*$/m.exec(shown.screen())?.[0] ?? assert.fail(shown.screen())
    await writeFile(join(place.cwd, '1.png'), 'x'.repeat(5000))
    await promisify(execFile)('sh', ['-c', line], { cwd: place.cwd })
    assert.equal((await textOf(createDefaultStorage(server.env), 'photos/1.png')).length, 5000)
  })

  it('says that the application answers addresses of the disk', async () => {
    const env = { STORAGE_SIGNING_SECRET: 'secret'.repeat(8) }
    const { code, stdout, stderr } = await place.run(['sign', 'a.txt'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /^\/uploads\/a\.txt\?signed=/)
    assert.match(stderr, /^note: the application has to answer this address/)
  })

  it('refuses options that do not go together, and times that nobody understands', async () => {
    const [noSize, time, size] = await Promise.all([
      place.run(['sign', 'a', '--put']),
      place.run(['sign', 'a', '--expires', 'tomorrow']),
      place.run(['sign', 'a', '--size', '5']),
    ])
    assert.deepEqual([noSize.code, time.code, size.code], [64, 64, 64])
    assert.match(noSize.stderr, /--put needs --size/)
    assert.equal(time.stderr, 'error: "tomorrow" is not a time such as 90s, 15m, 2h, 7d or 1w\n')
  })
})
