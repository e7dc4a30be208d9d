import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { recordsOf, textOf, usePlace } from './program.js'

const place = usePlace()

describe('stowage put', () => {
  it('stores a file and prints its name, and keeps the one that is there', async () => {
    await writeFile(join(place.cwd, 'report.txt'), 'one')
    const first = await place.run(['put', 'report.txt', 'documents/'])
    assert.deepEqual(first, { code: 0, stdout: 'documents/report.txt\n', stderr: '' })
    const second = await place.run(['put', '-', 'documents/report.txt'], { input: 'two' })
    assert.match(second.stdout, /^documents\/report_\w{7}\.txt\n$/)
    assert.equal(await readFile(join(place.cwd, 'uploads/documents/report.txt'), 'utf8'), 'one')
    assert.equal(await textOf(place.disk, second.stdout.trim()), 'two')
  })

  it('overwrites or refuses a taken name as it is told', async () => {
    await place.disk.save('a.txt', 'old')
    const refused = await place.run(['put', '-', 'a.txt', '--if-exists', 'error', '--json'], { input: 'new' })
    assert.deepEqual([refused.code, refused.stdout], [4, ''])
    assert.equal(recordsOf(refused.stderr)[0].error.code, 'AlreadyExists')
    const args = ['put', '-', 'a.txt', '--if-exists', 'overwrite', '--type', 'text/markdown']
    const written = await place.run([...args, '--cache-control', 'no-store', '--json'], { input: 'new' })
    assert.deepEqual(recordsOf(written.stdout), [{ name: 'a.txt' }])
    const { contentType, cacheControl } = await place.disk.stat('a.txt')
    assert.deepEqual([contentType, cacheControl], ['text/markdown', 'no-store'])
  })

  it('takes empty files, pipes and names that begin with a hyphen', async () => {
    execFileSync('mkfifo', [join(place.cwd, 'pipe')])
    await writeFile(join(place.cwd, '-rf'), '')
    const [piped, empty] = await Promise.all([
      place.run(['put', 'pipe', 'piped.txt']),
      place.run(['put', '--', '-rf', 'odd/']),
      writeFile(join(place.cwd, 'pipe'), 'through a pipe'),
    ])
    assert.deepEqual([piped.stdout, empty.stdout], ['piped.txt\n', 'odd/-rf\n'])
    assert.equal(await textOf(place.disk, 'piped.txt'), 'through a pipe')
    assert.equal(await place.disk.size('odd/-rf'), 0)
  })

  it('says what to do with a folder, a missing file, and input without a name', async () => {
    await mkdir(join(place.cwd, 'photos'))
    const [folder, missing, nameless] = await Promise.all([
      place.run(['put', 'photos', 'a']),
      place.run(['put', 'nothing.txt', 'a']),
      place.run(['put', '-', 'documents/']),
    ])
    const migrate = 'stowage migrate --from fs:photos stores all files of one'
    assert.deepEqual(folder, { code: 64, stdout: '', stderr: `error: photos is a folder: ${migrate}\n` })
    assert.deepEqual(missing, {
      code: 1,
      stdout: '',
      stderr: 'error: nothing.txt: no such file or directory\n',
    })
    assert.equal(nameless.code, 64)
    assert.match(nameless.stderr, /standard input has no name of its own/)
  })
})
