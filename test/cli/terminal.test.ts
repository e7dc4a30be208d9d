/** What a person sees: bars, colours, narrow windows. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import stringWidth from 'string-width'
import { describe, it } from 'vitest'
import { usePlace } from './program.js'

const place = usePlace()

/** Runs a command in a terminal to its end. */
async function shown(args: readonly string[], env: Record<string, string> = {}, columns = 80) {
  const { screen, ended } = place.program.startInTerminal(args, { cwd: place.cwd, env, columns })
  return { code: await ended, screen: screen() }
}

/** The lines that were on the screen at some time, without what moves the cursor. */
const linesOf = (screen: string) => screen.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '\r').split(/[\r\n]+/)

describe('in a terminal', () => {
  it('put and get show a bar that fits into 40 columns, and then the result', async () => {
    await writeFile(join(place.cwd, 'a report with a long name.bin'), Buffer.alloc(3_000_000))
    const put = await shown(['put', 'a report with a long name.bin', 'b.bin'], {}, 40)
    assert.equal(put.code, 0, put.screen)
    assert.match(put.screen, /0%.*B\/s/)
    assert.ok(
      linesOf(put.screen).every((line) => line.length < 40),
      put.screen,
    )
    assert.equal(linesOf(put.screen).filter(Boolean).at(-1), 'b.bin')
    const got = await shown(['get', 'b.bin'], {}, 40)
    assert.match(got.screen, /b\.bin.*B\/s/)
    assert.equal(linesOf(got.screen).filter(Boolean).at(-1), 'b.bin')
  })

  it('cuts no number of a bar, and rounds the rate', async () => {
    await writeFile(join(place.cwd, 'small'), 'abc')
    await writeFile(join(place.cwd, 'large'), Buffer.alloc(200_000_000))
    for (const columns of [24, 33, 40]) {
      for (const file of ['small', 'large']) {
        const { screen } = await shown(['put', file, file], {}, columns)
        const bars = linesOf(screen).filter((line) => /%|\/s/.test(line))
        assert.ok(bars.length > 0, screen)
        for (const bar of bars) {
          assert.match(bar, /(?: (?:\d+|\d+\.\d) (?:B|[KMG]iB)(?:\/s)?| (?:s|min) left)$/)
          assert.doesNotMatch(bar, /\.\d\d/)
        }
      }
    }
  })

  it('counts the columns of a wide name', async () => {
    const name = '日本語の長い名前のファイル.txt'
    await writeFile(join(place.cwd, name), 'x')
    const { screen } = await shown(['put', name, 'a'], {}, 60)
    for (const line of linesOf(screen)) assert.ok(stringWidth(line) < 60, line)
  })

  it('takes what is typed', async () => {
    const { terminal, screen, ended } = place.program.startInTerminal(['put', '-', 'a.txt'], {
      cwd: place.cwd,
    })
    terminal.write('hello\r\u0004')
    assert.equal(await ended, 0, screen())
    assert.equal(await (await place.disk.open('a.txt')).text(), 'hello\n')
  })

  it('shows no bar where a program reads, nor on a terminal that cannot', async () => {
    await place.disk.save('a.bin', Buffer.alloc(1000))
    const dumb = await shown(['get', 'a.bin'], { TERM: 'dumb' })
    assert.equal(dumb.screen, 'a.bin\r\n')
    const json = await shown(['get', 'a.bin', 'b.bin', '--json'])
    assert.equal(json.screen, '{"name":"a.bin","file":"b.bin","size":1000}\r\n')
  })

  it('colours errors and folders, unless NO_COLOR is set, and elsewhere with FORCE_COLOR', async () => {
    await place.disk.save('folder/a.txt', '')
    const [error, folder, plain, forced, piped] = await Promise.all([
      shown(['stat', 'b']),
      shown(['ls']),
      shown(['ls'], { NO_COLOR: '1' }),
      place.run(['stat', 'b'], { env: { FORCE_COLOR: '1' } }),
      place.run(['ls']),
    ])
    assert.match(error.screen, /^\u001b\[31merror:\u001b\[39m stat "b"/)
    assert.equal(folder.screen, '\u001b[34mfolder/\u001b[39m\r\n')
    assert.equal(plain.screen, 'folder/\r\n')
    assert.match(forced.stderr, /^\u001b\[31merror:/)
    assert.equal(piped.stdout, 'folder/\n')
  })

  it('shows help that fits into 40 columns', async () => {
    const { code, screen } = await shown(['help', 'get'], {}, 40)
    assert.equal(code, 0)
    const long = linesOf(screen).filter((line) => line.length > 40)
    assert.deepEqual(
      long.filter((line) => !/^(?:Usage:| {2}\$ | +\S+$)/.test(line)),
      [],
    )
  })
})
