/** Where the storage comes from, and the help. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { describe, it } from 'vitest'
import { addCommands } from '../../src/cli/commands.js'
import { usePlace } from './program.js'

const place = usePlace()
const put = (...args: string[]) => place.run(['put', '-', 'a.txt', ...args], { input: 'text' })
const local = (file: string) => readFile(join(place.cwd, file), 'utf8')

describe('the storage', () => {
  it('comes from variables, a file of variables, or an address', async () => {
    await writeFile(join(place.cwd, '.env'), 'MEDIA_ROOT="./from file"\n')
    const [byFile, byAddress] = await Promise.all([
      put('--env-file', '.env'),
      put('--storage', 'fs:./by address'),
      place.run(['put', '-', 'a.txt'], { input: 'text', env: { MEDIA_ROOT: './by variable' } }),
    ])
    assert.deepEqual([byFile.stderr, byAddress.stderr], ['', ''])
    for (const folder of ['from file', 'by address', 'by variable']) {
      assert.equal(await local(`${folder}/a.txt`), 'text')
    }
    // What is set already wins, as in Node.
    await writeFile(join(place.cwd, '.env'), 'MEDIA_ROOT=./other\n')
    const args = ['--env-file=.env', 'ls']
    assert.equal((await place.run(args, { env: { MEDIA_ROOT: './by variable' } })).stdout, 'a.txt\n')
  })

  it('is refused in a sentence where it cannot be', async () => {
    const [address, empty] = await Promise.all([put('--storage', 'ftp:files'), put('--storage', 'fs:')])
    assert.deepEqual([address.code, empty.code], [64, 64])
    assert.match(address.stderr, /^error: .*an address is fs:\.\/folder, memory:, r2:bucket or s3:bucket/)
    const file = await place.run(['ls', '--env-file', 'missing.env'])
    assert.match(file.stderr, /missing\.env: no(?:t found| such file or directory)\n$/)
    assert.notEqual(file.code, 0)
  })

  it('warns of variables without R2_ENABLED in a sentence', async () => {
    const { code, stderr } = await place.run(['ls'], { env: { R2_BUCKET_NAME: 'files' } })
    assert.equal(code, 0)
    assert.match(stderr, /^warning: R2_BUCKET_NAME is set, but R2_ENABLED is not: .*\n$/)
  })
})

describe('the help', () => {
  const program = new Command('stowage')
  addCommands(program, () => async () => {})

  it('has examples for every command', () => {
    for (const command of program.commands) {
      let text = ''
      command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp()
      assert.match(text, new RegExp(`Examples:\n  \\$ .*stowage ${command.name()}\\b`), command.name())
    }
  })

  it('is printed for nothing, --help and help, and a command that is not there has a suggestion', async () => {
    const [nothing, help, ofCommand, version, unknown, option] = await Promise.all([
      place.run([]),
      place.run(['--help']),
      place.run(['help', 'ls']),
      place.run(['--version']),
      place.run(['satt', 'a.txt']),
      place.run(['ls', '--recursiv', '--json']),
    ])
    assert.deepEqual([nothing.code, nothing.stdout, nothing.stderr], [64, '', help.stdout])
    assert.match(help.stdout, /^Usage: stowage [\s\S]*\n {2}put .*store a file\n/)
    assert.match(ofCommand.stdout, /^Usage: stowage ls /)
    const { version: expected } = JSON.parse(await readFile('package.json', 'utf8'))
    assert.deepEqual(version, { code: 0, stdout: `${expected}\n`, stderr: '' })
    const suggestion = "error: unknown command 'satt'\n(Did you mean stat?)\n"
    assert.deepEqual([unknown.code, unknown.stderr], [64, suggestion])
    const message = "unknown option '--recursiv'\n(Did you mean --recursive?)"
    assert.deepEqual([option.code, JSON.parse(option.stderr)], [64, { error: { code: 'Usage', message } }])
  })

  it('has every command and option in docs/command-line.md, and no other', async () => {
    const page = await readFile('docs/command-line.md', 'utf8')
    const sections = page.split(/^### /m).slice(1)
    const written = sections.map((section) => {
      const [heading = ''] = section.split('\n')
      const options = section.matchAll(/^\| `(?:-\w, )?(--[\w-]+)/gm)
      return {
        command: /`stowage ([\w-]+)/.exec(heading)?.[1],
        options: Array.from(options, ([, flag]) => flag),
      }
    })
    const helpful = program.commands.map((command) => ({
      command: command.name(),
      options: command.options.map(({ long }) => long),
    }))
    assert.deepEqual(written, helpful)
  })
})
