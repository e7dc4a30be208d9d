/** Every command line in the documents is one that the program takes. Nothing is run. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { Command } from 'commander'
import { describe, it } from 'vitest'
import { addCommands } from '../../src/cli/commands.js'

const root = new URL('../../', import.meta.url)
const pages = ['README.md', ...readdirSync(new URL('docs', root)).map((page) => `docs/${page}`)].filter(
  (page) => page.endsWith('.md'),
)

/** `npx stowage …` and `stowage …` in blocks for the shell and between backticks. */
function commandsIn(page: string): string[] {
  const text = readFileSync(new URL(page, root), 'utf8')
  const blocks = [...text.matchAll(/^```(?:sh|console)\n([\s\S]*?)^```$/gm)].flatMap(([, block = '']) =>
    block.split('\n'),
  )
  const inline = [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`\n]+)`/g)].map(
    ([, code = '']) => code,
  )
  return [...blocks, ...inline].flatMap((line) =>
    line
      .replace(/ #.*$/, '')
      .split(/&&|\|/)
      .map((part) => part.trim().replace(/^\$ /, ''))
      .filter((part) => /^(?:npx )?stowage [a-z]/.test(part)),
  )
}

/** Words as a shell makes them. */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(([, a, b, c]) => a ?? b ?? c ?? '')
}

async function parse(command: string): Promise<void> {
  const program = new Command('stowage')
    .version('0')
    .exitOverride()
    .configureOutput({
      writeErr: () => {},
      writeOut: () => {},
    })
  addCommands(program, () => async () => {})
  const words = wordsOf(command)
  await program.parseAsync(words.slice(words.indexOf('stowage') + 1), { from: 'user' })
}

/** Those that are whole: without placeholders. */
const wholeIn = (page: string) =>
  commandsIn(page).filter((command) => !/[…<]|[A-Z]{4}|stowage <|--help/.test(command))

describe.each(pages.filter((page) => wholeIn(page).length > 0))('%s', (page) => {
  it('has only commands that the program takes', async () => {
    const wrong: string[] = []
    for (const command of wholeIn(page)) {
      await parse(command).catch((error: Error) => wrong.push(`${command}: ${error.message}`))
    }
    assert.deepEqual(wrong, [])
  })
})

it('finds a wrong command', async () => {
  await assert.rejects(parse('npx stowage doctor --nope'), /unknown option/)
  await assert.rejects(parse('stowage dokter'), /unknown command/)
  assert.ok(commandsIn('docs/running.md').length > 10)
})
