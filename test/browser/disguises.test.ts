/** Files that would run a script if a browser took them for a page: Chromium never runs one, however it meets them. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { FileSystemStorage } from 'stowage'
import { createFileHandler, toNodeListener } from 'stowage/http'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { chromiumInstalled, launchChromium } from './chromium.js'

/** Tells the server that a script ran, also when the page is left meanwhile. */
const BEACON = 'fetch(location.origin+"/beacon",{keepalive:true})'
const SCRIPT = `try{new Image().src=location.origin+"/beacon"}catch(e){};${BEACON}`
/** The latest beacon that there can be: the page is left already. */
const LATE = `<!doctype html><title>x</title><script>addEventListener("pagehide",()=>${BEACON})</script>`
const HTML = `<!doctype html><title>x</title><script>${SCRIPT}</script>`
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload='${SCRIPT}'><script>${SCRIPT}</script></svg>`
const XHTML = `<html xmlns="http://www.w3.org/1999/xhtml"><script>${SCRIPT}</script></html>`
const utf16 = (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')
const XML16 = utf16(`<?xml version="1.0" encoding="UTF-16"?>${XHTML}`)
/** A picture by its first bytes, a script as a whole: `GIF89a=1;…`. */
const GIF_JS = `GIF89a=1;${SCRIPT}`
const GIF_HTML = Buffer.concat([
  Buffer.from('GIF89a\x01\x00\x01\x00\x00\x00\x00', 'latin1'),
  Buffer.from(HTML),
])
const PDF_HTML = `%PDF-1.4\n${HTML}\n%%EOF`
const PDF_JS = `%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(${SCRIPT})>>>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF`

const CONTENTS: Readonly<Record<string, string | Buffer>> = {
  html: HTML,
  svg: SVG,
  xml16: XML16,
  'gif-js': GIF_JS,
  'gif-html': GIF_HTML,
  'pdf-html': PDF_HTML,
  'pdf-js': PDF_JS,
}
const NAMES = [
  'page.html',
  'picture.svg',
  'feed.xml',
  'photo.png',
  'photo.jpg',
  'photo.gif',
  'notes.txt',
  'a.pdf',
]
const TYPES = ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/javascript']

describe.skipIf(!chromiumInstalled())('Chromium', () => {
  let location: string
  let browser: Browser
  let origin: string
  let beacons = 0
  const page = { html: '' }
  const storage = () => new FileSystemStorage({ location, fsync: false, signingSecret: 'a'.repeat(32) })
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path === '/beacon') {
      beacons++
      response.end()
    } else if (path === '/marker') response.setHeader('content-type', 'text/html').end('<!doctype html>')
    else if (path === '/control') response.setHeader('content-type', 'text/html').end(HTML)
    else if (path === '/control.svg') response.setHeader('content-type', 'image/svg+xml').end(SVG)
    else if (path === '/control.xml') response.setHeader('content-type', 'application/xml').end(XML16)
    else if (path === '/control.js') response.setHeader('content-type', 'text/javascript').end(GIF_JS)
    else if (path === '/control-late') response.setHeader('content-type', 'text/html').end(LATE)
    else if (path === '/page') response.setHeader('content-type', 'text/html').end(page.html)
    else if (path.startsWith('/uploads/')) files(request, response)
    else response.writeHead(404).end()
  })
  let files: ReturnType<typeof toNodeListener>

  beforeAll(async () => {
    location = await mkdtemp(join(tmpdir(), 'stowage-disguises-'))
    files = toNodeListener(createFileHandler(storage(), { access: 'public' }))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    server.closeAllConnections()
    server.close()
    await rm(location, { recursive: true })
  })

  /** Runs `work` in a page, and says how many beacons came before a request that the page makes last. */
  async function beaconsOf(work: (opened: Page) => Promise<void>): Promise<number> {
    const context = await browser.newContext({ acceptDownloads: false })
    beacons = 0
    try {
      const opened = await context.newPage()
      await work(opened)
      await opened.goto(`${origin}/marker`)
      await opened.evaluate(async () => {
        await fetch('/marker')
      })
      return beacons
    } finally {
      await context.close()
    }
  }

  /** A navigation that becomes a download is refused by Chromium. */
  const visit = async (opened: Page, url: string) => {
    await opened.goto(url, { waitUntil: 'load' }).catch((error) => {
      assert.match(String(error), /ERR_ABORTED|Download is starting|ERR_INVALID_RESPONSE|ERR_BLOCKED/)
    })
  }

  /** Pages of another author that use the addresses in every way that a page has. */
  const embed = async (opened: Page, urls: readonly string[]) => {
    page.html = urls
      .map((url) => url.replaceAll('&', '&amp;'))
      .map(
        (url) =>
          `<iframe src="${url}"></iframe><script src="${url}"></script><script type="module" src="${url}"></script>` +
          `<img src="${url}"><object data="${url}"></object><embed src="${url}">` +
          `<link rel="stylesheet" href="${url}"><video src="${url}"></video>`,
      )
      .join('\n')
    await opened.goto(`${origin}/page`, { waitUntil: 'load' })
  }

  it('runs the scripts of pages that are not served by us: the beacon works', async () => {
    for (const path of ['/control', '/control.svg', '/control.xml']) {
      assert.notEqual(await beaconsOf((opened) => visit(opened, origin + path)), 0, path)
    }
    for (const path of ['/control', '/control.svg', '/control.js']) {
      assert.notEqual(await beaconsOf((opened) => embed(opened, [origin + path])), 0, path)
    }
  })

  it('sees the beacon of a page that is left already', async () => {
    const late = `${origin}/control-late`
    assert.notEqual(await beaconsOf((opened) => visit(opened, late)), 0)
    assert.notEqual(await beaconsOf((opened) => embed(opened, [late])), 0)
  })

  it.each(Object.keys(CONTENTS))('runs no script of a disguise: %s', async (kind) => {
    const disk = storage()
    const urls: string[] = []
    const save = async (name: string, contentType: string | undefined) => {
      const headers = { contentType, contentDisposition: 'inline' }
      const stored = await disk.save(`${kind}/${name}`, CONTENTS[kind] ?? '', headers)
      urls.push(origin + disk.url(stored))
      return stored
    }
    for (const name of NAMES) await save(name, undefined)
    const saveAs = async (type: string) => {
      const stored = await save('photo.png', type)
      urls.push(origin + (await disk.signedUrl(stored, { contentType: type })))
    }
    for (const type of TYPES) await saveAs(type)
    assert.equal(urls.length, NAMES.length + 2 * TYPES.length)
    const found = await beaconsOf(async (opened) => {
      await embed(opened, urls)
      for (const url of urls) await visit(opened, url)
    })
    assert.equal(found, 0)
  })
})
