/** The documents of the repository as pages of the site: copies whose links lead from page to page. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { linksIn, mapLinks, ROOT, targetOf } from './links.js'

const GUIDES = 'docs/README.md'
const EXAMPLES = 'examples/README.md'
const PROJECT = 'project.md'
const ABOUT_THE_PROJECT = [
  'SECURITY.md',
  'CHANGELOG.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'bench/README.md',
  'bench/RESULTS.md',
]

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const titleOf = (markdown: string) => /^# (.*)$/m.exec(markdown)?.[1]?.replaceAll('`', '') ?? ''

/** The documents by their place in the repository, as they are or made here. */
function collect(): { pages: Map<string, string>; children: Map<string, string[]> } {
  const pages = new Map<string, string>()
  const add = (file: string, text = read(file)) => pages.set(file, text)
  add('README.md')
  const guides = readdirSync(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`)
  for (const file of [...guides, ...ABOUT_THE_PROJECT, 'examples/chat/README.md']) add(file)
  const examples = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((file) => /^(?:frameworks\/)?[^/]+\.ts$/.test(file))
    .map((file) => `examples/${file}`)
  const linked = [...pages].flatMap(([page, text]) =>
    linksIn(text)
      .filter(({ isImage }) => !isImage)
      .flatMap(({ href }) => targetOf(href, page)?.file ?? [])
      .filter((file) => !pages.has(file) && statSync(join(ROOT, file)).isFile()),
  )
  const codes = [...new Set([...examples, ...linked])].sort(byFolder)
  for (const file of codes) add(file, codePage(file))

  const ordered = linksIn(read(GUIDES)).flatMap(({ href }) => targetOf(href, GUIDES)?.file ?? [])
  const listed = [...new Set([...ordered, ...guides])].filter((file) => guides.includes(file))
  const children = new Map([
    [GUIDES, listed.filter((file) => file !== GUIDES)],
    [EXAMPLES, ['examples/chat/README.md', ...codes]],
    [PROJECT, ABOUT_THE_PROJECT],
  ])
  const list = (parent: string) => {
    const lines = children.get(parent)?.map((file) => `* [${nameOf(file, pages)}](${file})`) ?? []
    return lines.join('\n').replaceAll(`](${posix.dirname(parent)}/`, '](')
  }
  add(EXAMPLES, `# Examples\n\nThe tests run all of them.\n\n${list(EXAMPLES)}\n`)
  add(PROJECT, `# The project\n\n${list(PROJECT)}\n`)
  return { pages, children }
}

const byFolder = (a: string, b: string) =>
  posix.dirname(a).localeCompare(posix.dirname(b)) || a.localeCompare(b)

/** A file of code as a page, without the marks of its regions. */
function codePage(file: string): string {
  const code = read(file).replace(/^ *\/\/ #(?:end)?region.*\n/gm, '')
  return `# ${file}\n\n\`\`\`\`${posix.extname(file).slice(1)}\n${code.trim()}\n\`\`\`\`\n`
}

function nameOf(file: string, pages: ReadonlyMap<string, string>): string {
  return file.endsWith('.md') ? titleOf(pages.get(file) ?? '') : file.replace('examples/', '')
}

/** Writes the pages into a folder, and names those on top. */
export function writePages(folder: string): { readme: string; documents: string[] } {
  const { pages, children } = collect()
  const placeOf = (file: string) => join(folder, file.endsWith('.md') ? file : `${file}.md`)
  const write = (path: string, content: string | Uint8Array) => {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
  for (const [page, text] of pages) {
    const linked = mapLinks(text, ({ href, isImage }) => {
      const target = targetOf(href, page)
      if (target === undefined) return href
      const { file, anchor } = target
      if (file === page && anchor !== '') return anchor
      if (isImage) {
        write(join(folder, file), readFileSync(join(ROOT, file)))
        return posix.relative(posix.dirname(page), file)
      }
      const to = [file, `${file}/README.md`].find((each) => pages.has(each))
      if (to === undefined) throw new Error(`${page}: the site has no page for ${href}`)
      return posix.relative(posix.dirname(page), to.endsWith('.md') ? to : `${to}.md`) + anchor
    })
    const title = page === GUIDES ? 'Guides' : nameOf(page, pages)
    write(placeOf(page), frontMatter(title, children.get(page)?.map(placeOf) ?? []) + linked)
  }
  return { readme: placeOf('README.md'), documents: [GUIDES, EXAMPLES, PROJECT].map(placeOf) }
}

/** A string of JSON is one of YAML, too. */
function frontMatter(title: string, children: readonly string[]): string {
  const below = children.map((file) => `  - ${JSON.stringify(file)}\n`).join('')
  return `---\ntitle: ${JSON.stringify(title)}\n${below && `children:\n${below}`}---\n\n`
}
