/** Links of the documents: each leads somewhere in a clone, on GitHub, on npm's page and in node_modules. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import {
  faultOf,
  linksIn,
  mapLinks,
  otherPages,
  packedFiles,
  packedHref,
  ROOT,
  readManifest,
  repositoryOf,
} from '../site/links.js'

const packed = packedFiles()
const pages = [...packed].filter((file) => file.endsWith('.md'))
const manifest = readManifest()
const repository = repositoryOf(manifest)
const read = (page: string) => readFileSync(join(ROOT, page), 'utf8')

describe('the links of the documents', () => {
  it.each(pages)('%s: relative to what npm publishes, else to the repository (npm run links)', (page) => {
    const wrong = linksIn(read(page)).filter(
      (link) => link.href !== packedHref(link, page, packed, repository),
    )
    assert.deepEqual(wrong, [])
  })

  it.each([...pages, ...otherPages(packed)])('%s leads nowhere that is not there', (page) => {
    const faults = linksIn(read(page)).map((link) => faultOf(link, page))
    assert.deepEqual(
      faults.filter((fault) => fault !== undefined),
      [],
    )
  })

  it('docs/README.md lists every guide', () => {
    const listed = new Set(linksIn(read('docs/README.md')).map(({ href }) => `docs/${href}`))
    const missing = pages.filter((page) => page.startsWith('docs/') && page !== 'docs/README.md')
    assert.deepEqual(
      missing.filter((page) => !listed.has(page)),
      [],
    )
  })

  it('package.json has the repository in one place (npm run links)', () => {
    assert.equal(manifest.homepage, `${repository}#readme`)
    assert.equal(manifest.bugs.url, `${repository}/issues`)
  })
})

describe('the rule', () => {
  const files = new Set(['README.md', 'docs/files.md', 'docs/uploads.md'])
  const web = 'https://git.example/owner/name'
  it.each([
    ['uploads.md', 'docs/files.md', 'uploads.md'],
    ['uploads.md#rules', 'docs/files.md', 'uploads.md#rules'],
    ['#rules', 'docs/files.md', '#rules'],
    ['../examples/demo.ts', 'docs/files.md', `${web}/blob/HEAD/examples/demo.ts`],
    ['../bench/README.md#the-cases', 'docs/files.md', `${web}/blob/HEAD/bench/README.md#the-cases`],
    ['examples/chat', 'README.md', `${web}/tree/HEAD/examples/chat`],
    ['https://github.com/OWNER/stowage/blob/HEAD/LICENSE', 'README.md', `${web}/blob/HEAD/LICENSE`],
    ['https://github.com/OWNER/stowage/blob/HEAD/docs/files.md', 'README.md', 'docs/files.md'],
    ['https://example.com/a.md', 'README.md', 'https://example.com/a.md'],
  ])('%s in %s is %s', (href, page, expected) => {
    assert.equal(packedHref({ href, isImage: false }, page, files, web), expected)
  })

  it('leaves the images of the README to npm and GitHub', () => {
    const image = { href: 'docs/images/chat-phone-dark.png', isImage: true }
    assert.equal(packedHref(image, 'README.md', files, web), image.href)
    const below = { ...image, href: 'images/chat-phone-dark.png' }
    assert.equal(
      packedHref(below, 'docs/files.md', files, web),
      `${web}/raw/HEAD/docs/images/chat-phone-dark.png`,
    )
  })

  it('sees every form of link, and none in code', () => {
    const page = [
      '[a](1.md) [`b`](2.md) ![c](3.png) <img alt="d" src="4.png">',
      '[e]: 5.md',
      '`[f](no.md)` ``[`g`](no.md)``',
      '```md\n[h](no.md)\n```',
    ].join('\n')
    assert.equal(
      linksIn(page)
        .map(({ href }) => href)
        .join(' '),
      '1.md 2.md 3.png 4.png 5.md',
    )
    assert.equal(
      mapLinks(page, ({ href }) => href),
      page,
    )
  })

  it('finds a missing file and a missing heading', () => {
    const fault = (href: string) => faultOf({ href, isImage: false }, 'docs/uploads.md')
    assert.equal(fault('files.md'), undefined)
    assert.match(fault('none.md') ?? '', /is missing/)
    assert.match(fault('#none') ?? '', /no such heading/)
    assert.match(fault(`${repository}/blob/HEAD/none.ts`) ?? '', /is missing/)
  })
})
