/** The site of guides and reference, as `npm run docs` builds it: every link, the search, and how it looks from a folder. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { Parser } from 'htmlparser2'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { chromiumInstalled, launchChromium } from './browser/chromium.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const execute = promisify(execFile)

/** Every page by its path in the site. */
const pages = new Map<string, { readonly links: string[]; readonly ids: Set<string> }>()
let site: string
let files: Set<string>

beforeAll(async () => {
  site = await mkdtemp(join(tmpdir(), 'stowage-docs-'))
  const { NODE_OPTIONS: _, ...env } = process.env
  const built = execute('npm', ['run', 'docs', '--', '--out', site], { cwd: root, env })
  await built.catch(({ stdout, stderr }) => assert.fail(`npm run docs:\n${stdout}\n${stderr}`))
  const entries = await readdir(site, { recursive: true, withFileTypes: true })
  files = new Set(
    entries
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(site.length + 1)),
  )
  for (const file of files) {
    if (file.endsWith('.html')) pages.set(file, parse(await readFile(join(site, file), 'utf8')))
  }
}, 400_000)
afterAll(() => rm(site, { recursive: true, force: true }))

function parse(html: string) {
  const links: string[] = []
  const ids = new Set<string>()
  const parser = new Parser({
    onopentag(_, { id, href, src }) {
      if (id !== undefined) ids.add(id)
      links.push(...[href, src].filter((link) => link !== undefined))
    },
  })
  parser.end(html)
  return { links, ids }
}

/** The place in the site that a link of a page leads to; undefined where it leads out of it. */
function targetOf(link: string, page: string): { file: string; anchor: string } | undefined {
  if (/^[a-z]+:/.test(link)) return undefined
  const [path = '', anchor = ''] = decodeURIComponent(link).split('#')
  return { file: path === '' ? page : posix.join(dirname(page), path), anchor }
}

describe('the site', () => {
  it('has a page for each guide, each export and the documents of the project', () => {
    const guides = [...pages.keys()].filter((page) => page.startsWith('documents/Guides.'))
    assert.ok(guides.length > 15, `${guides.length} guides`)
    for (const page of [
      'index.html',
      'documents/Guides.Uploads.html',
      'documents/Examples.migrate.ts.html',
      'documents/The_project.Architecture.html',
      'classes/stowage.R2Storage.html',
      'functions/stowage_http.receiveUpload.html',
      'functions/stowage_testing.startLocalR2.html',
    ]) {
      assert.ok(pages.has(page), page)
    }
  })

  it('says which error a function throws, and links to it', async () => {
    const unnamed: string[] = []
    let count = 0
    for (const page of pages.keys()) {
      if (!/^(?:classes|functions|interfaces)\//.test(page)) continue
      const html = await readFile(join(site, page), 'utf8')
      for (const [, what = ''] of html.matchAll(/<h4[^>]*>Throws<[\s\S]*?<\/h4>([\s\S]{0,120})/g)) {
        count += 1
        const isNamed =
          /^<p>(?:<a href="[^"]+" class="tsd-kind-class">\w+<\/a>|<code>\w+Error<\/code>)(?: |<\/p>)/.test(
            what,
          )
        if (!isNamed) unnamed.push(`${page}: ${what}`)
      }
    }
    assert.ok(count > 50, `${count} errors`)
    assert.deepEqual(unnamed, [])
  })

  it('has no link and no anchor that leads nowhere', () => {
    const broken: string[] = []
    let count = 0
    for (const [page, { links }] of pages) {
      for (const link of links) {
        const target = targetOf(link, page)
        if (target === undefined) continue
        count += 1
        const { file, anchor } = target
        if (!files.has(file) || (anchor !== '' && pages.get(file)?.ids.has(anchor) === false)) {
          // The icons are put into the page by a program.
          if (!/^icon-/.test(anchor)) broken.push(`${page}: ${link}`)
        }
      }
    }
    assert.ok(count > 5000, `${count} links`)
    assert.deepEqual(broken, [])
  })

  it('leads from guide to guide, to the reference and to the files of the repository', () => {
    const leads = (page: string, to: string) => assert.ok(pages.get(page)?.links.includes(to), to)
    leads('index.html', 'documents/Guides.Uploads.html#frameworks')
    leads('index.html', 'documents/Examples.A_chat_room.html')
    leads('documents/Guides.Private_files.html', 'Guides.Serving_files.html')
    leads('documents/Guides.Private_files.html', '../classes/stowage.Storage.html#signedurl')
    leads('documents/Guides.Uploads.html', '../variables/stowage.chatUploadRules.html')
    leads('documents/Examples.migrate.ts.html', '../functions/stowage.migrate.html')
    leads('documents/Guides.Moving_from_disk_to_R2.html', 'Examples.migrate.ts.html')
    leads('documents/Guides.html', '../index.html')
  })

  it('loads nothing from elsewhere', async () => {
    const outside: string[] = []
    for (const [page] of pages) {
      const html = await readFile(join(site, page), 'utf8')
      outside.push(
        ...(html.match(/<(?:script|link|img|iframe)\b[^>]*(?:src|href)="(?:https?:)?\/\/[^>]*/g) ?? []),
      )
    }
    for (const file of files) {
      if (!file.endsWith('.css')) continue
      const style = await readFile(join(site, file), 'utf8')
      outside.push(...(style.match(/@import[^;]*|url\(["']?(?:https?:)?\/\/[^)]*/g) ?? []))
    }
    assert.deepEqual(outside, [])
  })

  it('names no folder of the machine it was built on', async () => {
    for (const file of files) {
      if (!/\.(?:html|css)$/.test(file)) continue
      const text = await readFile(join(site, file), 'utf8')
      assert.ok(!text.includes(root) && !text.includes('/stowage-site-'), file)
    }
  })
})

describe.skipIf(!chromiumInstalled())('the site in Chromium, from a folder', () => {
  let browser: Browser
  const requests: string[] = []
  beforeAll(async () => {
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    assert.deepEqual(
      requests.filter((url) => !/^(?:file|data|blob):/.test(url)),
      [],
    )
  })

  const addressOf = (page: string) => pathToFileURL(join(site, page)).href
  async function open(page: string, options: BrowserContextOptions): Promise<Page> {
    const tab = await browser.newPage(options)
    tab.on('request', (request) => requests.push(request.url()))
    await tab.goto(addressOf(page))
    await tab.locator('#tsd-nav-container a').first().waitFor({ state: 'attached' })
    return tab
  }
  const desktop = { viewport: { width: 1280, height: 900 } }
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }

  it.each([
    ['a desktop', desktop],
    ['a phone', phone],
  ])('fits %s, without a bar to scroll sideways', { timeout: 300_000 }, async (_, options) => {
    const tab = await open('index.html', options)
    const wide: string[] = []
    const shapes = [...pages.keys()].filter((page) =>
      /Guides|The_project|Storage\.html|R2Storage|modules/.test(page),
    )
    assert.ok(shapes.length > 30)
    for (const page of shapes) {
      await tab.goto(addressOf(page), { waitUntil: 'domcontentloaded' })
      const excess = await tab.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
      if (excess > 0) wide.push(`${page}: ${excess} px`)
    }
    await tab.close()
    assert.deepEqual(wide, [])
  })

  it.each([
    ['a desktop', desktop],
    ['a phone', phone],
  ])('finds a method on %s, and leads to it', async (_, options) => {
    const tab = await open('documents/Guides.Uploads.html', options)
    await tab.locator('#tsd-search-trigger').click()
    await tab.locator('#tsd-search-input').fill('signedUpload')
    const found = tab.locator('#tsd-search-results a').first()
    await found.waitFor()
    assert.match((await found.textContent()) ?? '', /^\s*stowage\.Storage\.signedUpload$/)
    await found.click()
    await tab.waitForURL(/classes\/stowage\.Storage\.html#signedupload$/)
    await tab.locator('h3#signedupload').waitFor()
    await tab.close()
  })

  it('finds guides by what they say', async () => {
    const tab = await open('index.html', desktop)
    await tab.locator('#tsd-search-trigger').click()
    await tab.locator('#tsd-search-input').fill('fastify')
    await tab.locator('#tsd-search-results a', { hasText: 'Guides.Uploads' }).waitFor()
    await tab.close()
  })

  it('has a menu in which every entry leads to a page, also on a phone', async () => {
    const tab = await open('index.html', phone)
    const places = await tab.evaluate<string[]>(
      `[...document.querySelectorAll('#tsd-nav-container a')].map((link) => link.getAttribute('href'))`,
    )
    assert.ok(places.length > 150, `${places.length} entries`)
    assert.deepEqual(
      places.filter((place) => !files.has(targetOf(place, 'index.html')?.file ?? '')),
      [],
    )
    await tab.locator('#tsd-toolbar-menu-trigger').click()
    await tab.locator('#tsd-nav-container a[href$="Guides.Private_files.html"]').click()
    await tab.waitForURL(/Guides\.Private_files\.html$/)
    await tab.close()
  })

  it('is light by day and dark by night', async () => {
    const brightness = async (colorScheme: 'light' | 'dark') => {
      const tab = await open('index.html', { ...phone, colorScheme })
      const [, red = '0'] =
        /rgb\((\d+)/.exec(await tab.evaluate('getComputedStyle(document.body).backgroundColor')) ?? []
      await tab.close()
      return Number(red)
    }
    assert.ok((await brightness('light')) > 200)
    assert.ok((await brightness('dark')) < 60)
  })
})
