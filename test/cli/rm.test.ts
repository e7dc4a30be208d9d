import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { recordsOf, usePlace } from './program.js'

const place = usePlace()
const there = (...names: string[]) => Promise.all(names.map((name) => place.disk.exists(name)))

describe('stowage rm', () => {
  it('deletes files, tells the missing ones, and deletes the others all the same', async () => {
    await place.disk.save('a.txt', 'a')
    await place.disk.save('b.txt', 'b')
    const dry = await place.run(['rm', '--dry-run', 'a.txt'])
    assert.deepEqual([dry.stderr, await there('a.txt')], ['1 file would be deleted\n', [true]])
    const result = await place.run(['rm', 'a.txt', 'missing', 'b.txt'])
    const missing = 'error: rm "missing": there is no such file\n'
    assert.deepEqual(result, { code: 1, stdout: '', stderr: `${missing}2 files deleted\n` })
    assert.deepEqual(await there('a.txt', 'b.txt'), [false, false])
  })

  it('deletes a folder only after a yes', async () => {
    for (const name of ['tmp/a', 'tmp/b/c', 'tmp2/d']) await place.disk.save(name, '')
    const unasked = await place.run(['rm', '--prefix', 'tmp'])
    assert.deepEqual([unasked.code, unasked.stdout], [64, ''])
    assert.match(unasked.stderr, /give --yes, or --dry-run to look first/)
    const dry = await place.run(['rm', '--prefix', 'tmp', '--dry-run', '--json'])
    assert.deepEqual(recordsOf(dry.stdout), [{ prefix: 'tmp', files: 2, deleted: false }])
    assert.deepEqual(await there('tmp/a', 'tmp/b/c', 'tmp2/d'), [true, true, true])
    const done = await place.run(['rm', '--prefix', 'tmp', '--yes'])
    assert.deepEqual(done, { code: 0, stdout: '', stderr: '2 files deleted\n' })
    assert.deepEqual(await there('tmp/a', 'tmp/b/c', 'tmp2/d'), [false, false, true])
    const again = await place.run(['rm', '--prefix', 'tmp', '--yes'])
    assert.deepEqual([again.code, again.stderr], [1, 'error: there are no files below "tmp"\n'])
  })

  it('asks on a terminal', async () => {
    await place.disk.save('tmp/a', '')
    const answer = async (text: string) => {
      const { terminal, screen, ended, shows } = place.program.startInTerminal(['rm', '--prefix', 'tmp'], {
        cwd: place.cwd,
      })
      await shows('[y/N]')
      terminal.write(text)
      return { code: await ended, screen: screen() }
    }
    const no = await answer('\r')
    assert.match(no.screen, /Delete 1 file below tmp\? \[y\/N\] [\r\n]*nothing was deleted/)
    const end = await answer('\u0004')
    assert.match(end.screen, /\[y\/N\] \r\nnothing was deleted/)
    assert.deepEqual([no.code, await there('tmp/a')], [0, [true]])
    const interrupted = await answer('\u0003')
    assert.match(interrupted.screen, /\[y\/N\] (?:\^C)?\r\n\S*error:.* interrupted: nothing was changed/)
    assert.deepEqual([interrupted.code, await there('tmp/a')], [130, [true]])
    const yes = await answer('y\r')
    assert.deepEqual([yes.code, await there('tmp/a')], [0, [false]])
  })

  it('wants names or a folder', async () => {
    const [nothing, both, root] = await Promise.all([
      place.run(['rm']),
      place.run(['rm', 'a', '--prefix', 'b', '--yes']),
      place.run(['rm', '--prefix', '', '--yes']),
    ])
    assert.deepEqual([nothing.code, both.code, root.code], [64, 64, 64])
    assert.match(root.stderr, /the folder must not be empty/)
  })
})
