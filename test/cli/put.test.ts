import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from 'vitest'
import { Program } from './program.js'

let program: Program
let cwd: string
beforeAll(async () => {
  program = await Program.build()
})
afterAll(() => program.remove())
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'stowage-cli-'))
})
afterEach(() => rm(cwd, { recursive: true, force: true }))

describe('stowage put', () => {
  it('stores a file and prints its name, and keeps the one that is there', async () => {
    await writeFile(join(cwd, 'report.txt'), 'one')
    const first = await program.run(['put', 'report.txt', 'documents/'], { cwd })
    assert.deepEqual(first, { code: 0, stdout: 'documents/report.txt\n', stderr: '' })
    const second = await program.run(['put', '-', 'documents/report.txt'], { cwd, input: 'two' })
    assert.match(second.stdout, /^documents\/report_\w{7}\.txt\n$/)
    assert.equal(await readFile(join(cwd, 'uploads/documents/report.txt'), 'utf8'), 'one')
    assert.equal(await readFile(join(cwd, 'uploads', second.stdout.trim()), 'utf8'), 'two')
  })

  it('shows a bar in a terminal', async () => {
    const { terminal, screen, ended } = program.startInTerminal(['put', '-', 'a.txt'], { cwd, columns: 40 })
    terminal.write('hello\r\u0004')
    assert.equal(await ended, 0, screen())
    assert.match(screen(), /a\.txt/)
  })
})
