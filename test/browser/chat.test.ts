/** The chat of examples/chat in a real browser, as its users use it. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { startLocalR2 } from 'stowage/testing'
import { afterAll, afterEach, beforeAll, describe, it, onTestFinished } from 'vitest'
import { mountSmall, unmountAll, whyNoMounts } from '../chaos/mounts.js'
import { type ChatApp, startChat } from './chat-app.js'
import { chromiumInstalled, launchChromium } from './chromium.js'
import { startGate } from './gate.js'

const shipped = (name: string) => new URL(`../../examples/files/${name}`, import.meta.url).pathname
const MIB = 1024 * 1024
const SCRIPT = 'window.hacked = true; fetch("/hacked")'
const SVG = `<svg xmlns="http://www.w3.org/2000/svg" onload='${SCRIPT}'><script>${SCRIPT}</script></svg>`

let browser: Browser
let chat: ChatApp
/** What every page asked for, and what it complained about. */
const requests: { method: string; url: URL; status: number }[] = []
const complaints: string[] = []
let rooms = 0

beforeAll(async () => {
  if (!chromiumInstalled()) return
  browser = await launchChromium()
  chat = await startChat()
})
afterAll(async () => {
  await browser?.close()
  await chat?.stop()
})
afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
  const unexpected = complaints.splice(0).filter((text) => !/status of (?:413|415|503|507) /.test(text))
  const hosts = new Set(requests.splice(0).map(({ url }) => url.hostname))
  assert.deepEqual({ unexpected, hosts }, { unexpected: [], hosts: new Set(['127.0.0.1']) })
})

/** A user of their own in a new room, or in the room of another page. */
async function enter({ app = chat, room = newRoom(), ...options }: Entrance = {}): Promise<Page> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (request.url().startsWith('blob:')) return
    const entry = { method: request.method(), url: new URL(request.url()), status: 0 }
    requests.push(entry)
    void request.response().then(
      (response) => Object.assign(entry, { status: response?.status() }),
      () => {},
    )
  })
  await page.goto(`${app.address}/rooms/${room}/`)
  await page.getByText(/Only you|people/).waitFor()
  return page
}

type Entrance = BrowserContextOptions & { readonly app?: ChatApp; readonly room?: string }

/** Waits until an expression holds. The page's own policy forbids `waitForFunction`. */
async function until(page: Page, expression: string): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await page.waitForTimeout(30)) {
    if (await page.evaluate(expression)) return
  }
  assert.fail(`this does not come true: ${expression}`)
}

function newRoom(): string {
  rooms += 1
  return `room-${rooms}`
}

const roomOf = (page: Page) => page.url().split('/')[4] ?? ''

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
}

type File = string | { readonly name: string; readonly mimeType: string; readonly buffer: Buffer }

async function attach(page: Page, ...files: (string | Exclude<File, string>)[]): Promise<void> {
  for (const file of files) await page.getByLabel('Attach files').setInputFiles(file)
}

function pdf(name: string, size: number): Exclude<File, string> {
  const buffer = Buffer.alloc(size, ' ')
  buffer.write('%PDF-1.4\n')
  return { name, mimeType: 'application/pdf', buffer }
}

const uploads = (page: Page) => page.getByRole('list', { name: 'Uploads' }).getByRole('listitem')
const sounds = (page: Page) => page.locator('audio')

/** Files that are stored, without the logs of the rooms. */
async function stored(app: ChatApp = chat): Promise<string[]> {
  const entries = await readdir(app.mediaRoot, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && !/\.stowage|rooms/.test(entry.parentPath))
    .map((entry) => join(entry.parentPath, entry.name).slice(app.mediaRoot.length + 1))
}

/** Lets uploads of a page take time, and returns the shares that its progress bar shows. */
async function watchProgress(page: Page, bytesPerSecond: number): Promise<() => Promise<number[]>> {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond,
  })
  await page.evaluate(`{
    window.shares = new Set()
    const look = () => {
      const bar = document.querySelector('#uploads progress')
      if (bar) window.shares.add(bar.value)
      requestAnimationFrame(look)
    }
    look()
  }`)
  return () => page.evaluate<number[]>('[...window.shares]')
}

function assertProgress(shares: number[]): void {
  assert.ok(shares.filter((share) => share > 0 && share < 1).length > 1, `it showed ${shares}`)
  assert.deepEqual(
    shares,
    [...shares].sort((one, other) => one - other),
  )
}

describe.skipIf(!chromiumInstalled())('the chat', { timeout: 120_000 }, () => {
  it('shows what one writes to everyone in the room, and to nobody else', async () => {
    const ada = await enter()
    const ben = await enter({ room: roomOf(ada) })
    const stranger = await enter()
    await say(ada, 'Is the tide in?')
    await ben.getByText('Is the tide in?').waitFor()
    assert.equal(await stranger.getByRole('log').getByRole('listitem').count(), 0)
    assert.ok(await stranger.getByRole('heading', { name: 'All aboard' }).isVisible())
  })

  it('sends a document and an image by form, loads the image late, and keeps them when the page is reloaded', async () => {
    const ada = await enter()
    const shares = await watchProgress(ada, 2 * MIB)
    await attach(ada, pdf('Sea chart.pdf', 3 * MIB), shipped('photo.png'))
    await ada.getByRole('log').getByText('Sea chart.pdf', { exact: true }).waitFor()
    await ada.getByAltText('photo.png').waitFor()
    assertProgress(await shares())
    await ada.reload()
    const image = ada.getByAltText('photo.png')
    assert.equal(await image.getAttribute('loading'), 'lazy')
    await until(ada, 'document.querySelector(".image img").naturalWidth === 160')
    const names = await stored()
    assert.ok(names.includes(`documents/${roomOf(ada)}/Sea_chart.pdf`))
    assert.ok(names.includes(`documents/${roomOf(ada)}/photo.png`))
    const signed = requests.filter(({ url }) => url.pathname.endsWith('/photo.png'))
    assert.ok(signed.length > 0 && signed.every(({ url }) => url.searchParams.has('signed')))
  })

  it('sends a large file straight to the storage, with its progress, and shows it once it is accepted', async () => {
    const ada = await enter()
    const shares = await watchProgress(ada, 6 * MIB)
    await attach(ada, pdf('Plans.pdf', 9 * MIB))
    await uploads(ada).getByText('straight to the storage').waitFor()
    await ada.getByRole('log').getByText('Plans.pdf').waitFor()
    assertProgress(await shares())
    const puts = requests.filter(({ method }) => method === 'PUT')
    assert.equal(puts.length, 1)
    assert.match(puts[0]?.url.pathname ?? '', /^\/uploads\/chat_uploads\/[\w-]+\.pdf$/)
    const names = await stored()
    assert.ok(names.includes(`documents/${roomOf(ada)}/Plans.pdf`))
    assert.deepEqual(
      names.filter((name) => name.startsWith('chat_uploads')),
      [],
    )
  })

  it('takes files that are dropped or pasted', async () => {
    const ada = await enter()
    const bytes = (await readFile(shipped('photo.png'))).toString('base64')
    await ada.evaluate(`{
      const bytes = Uint8Array.from(atob('${bytes}'), (letter) => letter.charCodeAt(0))
      for (const [type, property] of [['drop', 'dataTransfer'], ['paste', 'clipboardData']]) {
        const data = new DataTransfer()
        data.items.add(new File([bytes], type + '.png', { type: 'image/png' }))
        const event = type === 'drop' ? new DragEvent(type, { dataTransfer: data }) : new ClipboardEvent(type, { clipboardData: data })
        document.dispatchEvent(event)
      }
    }`)
    await ada.getByAltText('drop.png').waitFor()
    await ada.getByAltText('paste.png').waitFor()
  })

  it('records a voice note, which plays and seeks', async () => {
    const ada = await enter()
    await ada.getByRole('button', { name: 'Record a voice note' }).click()
    await ada.locator('#time').getByText('0:03').waitFor()
    assert.ok((await ada.locator('#meter i').count()) > 10)
    await ada.getByRole('button', { name: 'Send the recording' }).click()

    const ben = await enter({ room: roomOf(ada) })
    await ben.getByRole('button', { name: /^Play Voice note/ }).click()
    await ben.getByRole('button', { name: /^Pause Voice note/ }).waitFor()
    await until(ben, 'document.querySelector("audio").currentTime > 0.2')
    const duration = await ben.evaluate<number>('document.querySelector("audio").duration')
    assert.ok(duration > 2.5 && duration < 10, `it lasts ${duration} s`)

    await ben.getByRole('button', { name: /^Pause Voice note/ }).click()
    const seek = ben.getByRole('slider', { name: /^Position in Voice note/ })
    await seek.fill('2')
    await until(ben, 'Math.abs(document.querySelector("audio").currentTime - 2) < 0.1')
    await seek.press('Home')
    await until(ben, 'document.querySelector("audio").currentTime < 0.1')
    await ben.getByRole('button', { name: /^Play Voice note/ }).click()
    await until(ben, 'document.querySelector("audio").ended')
    const [name] = (await stored()).filter((file) => file.startsWith(`voice_notes/${roomOf(ada)}/`))
    assert.match(name ?? '', /\/Voice_note_[\w-]+\.webm$/)
    assert.ok(
      requests.some(({ url, status }) => url.pathname.startsWith('/uploads/voice_notes/') && status === 206),
    )
  })

  it('discards a recording', async () => {
    const ada = await enter()
    await ada.getByRole('button', { name: 'Record a voice note' }).click()
    await ada.locator('#time').getByText('0:01').waitFor()
    await ada.keyboard.press('Escape')
    await ada.getByRole('button', { name: 'Record a voice note' }).waitFor()
    assert.ok(!requests.some(({ method }) => method === 'POST'))
  })

  it('plays speech while it is made and stored', async () => {
    const ada = await enter()
    const ben = await enter({ room: roomOf(ada) })
    await ada
      .getByLabel('Message', { exact: true })
      .fill('The tide comes in at nine, and at ten we sail. '.repeat(4))
    await ada.getByRole('button', { name: 'Send it as speech' }).click()
    await until(ada, 'document.querySelector("audio")?.currentTime > 0')
    assert.ok(!(await ada.getByText('Stored', { exact: true }).isVisible()), 'it plays before it is stored')
    await ada.getByText('Stored', { exact: true }).waitFor()
    await ben.getByText('Stored', { exact: true }).waitFor()
    const [name] = (await stored()).filter((file) => file.startsWith(`ai_speech/${roomOf(ada)}/`))
    const bytes = await readFile(join(chat.mediaRoot, name ?? ''))
    assert.equal(bytes.readUInt32LE(40), bytes.byteLength - 44)

    await ben.reload()
    await ben.getByRole('button', { name: 'Play the speech' }).click()
    await until(ben, 'document.querySelector("audio").currentTime > 0.2')
    assert.ok(requests.some(({ url }) => url.pathname === `/uploads/${name}`))
  })

  it('shows a name and a picture, cut to a square, to everyone', async () => {
    const ada = await enter()
    const ben = await enter({ room: roomOf(ada) })
    await say(ada, 'Who am I?')
    await ada.getByRole('button', { name: 'Your name and picture' }).click()
    await ada.getByLabel('Name', { exact: true }).fill('Ada')
    await ada.evaluate('window.before = document.querySelector("#picture").toDataURL()')
    await ada.getByLabel('Choose a picture').setInputFiles(shipped('photo.png'))
    await until(ada, 'document.querySelector("#picture").toDataURL() !== window.before')
    await ada.getByRole('button', { name: 'Save' }).click()
    await ben.getByText('Ada', { exact: true }).waitFor()
    await until(ben, 'document.querySelector("#messages .avatar img")?.naturalWidth === 256')
    assert.equal((await stored()).filter((name) => name.startsWith('user_avatars/')).length, 1)

    await ada.goto(`${chat.address}/rooms/${newRoom()}/`)
    await until(ada, 'document.querySelector("#me img")?.naturalHeight === 256')
  })

  it('refuses disguised files with a reason, keeps nothing of them, and runs nothing', async () => {
    const ada = await enter()
    const before = await stored()
    const html = `<html><script>${SCRIPT}</script>`
    await attach(
      ada,
      { name: 'photo.png', mimeType: 'image/png', buffer: Buffer.from(SVG) },
      { name: 'drawing.svg', mimeType: 'image/svg+xml', buffer: Buffer.from(SVG) },
      { name: 'report.pdf', mimeType: 'application/pdf', buffer: Buffer.from(html.padEnd(5 * MIB)) },
      { name: 'page.html', mimeType: 'text/html', buffer: Buffer.from(html.padEnd(5 * MIB)) },
    )
    for (const name of ['photo.png', 'drawing.svg', 'report.pdf', 'page.html']) {
      const card = uploads(ada).filter({ hasText: name })
      await card.getByText('This type is not accepted. Send a PDF, a JPEG, a PNG or a voice note.').waitFor()
      assert.equal(await card.getByRole('button', { name: 'Try again' }).count(), 0)
      await card.getByRole('button', { name: `Close ${name}` }).click()
    }
    assert.equal(await uploads(ada).count(), 0)
    assert.deepEqual(await stored(), before)

    await say(ada, `<img src=x onerror='${SCRIPT}'>`)
    await ada.getByRole('button', { name: 'Your name and picture' }).click()
    await ada.getByLabel('Name', { exact: true }).fill(`<script>${SCRIPT}</script>`.slice(0, 40))
    await ada.getByRole('button', { name: 'Save' }).click()
    const name = { name: `a'"><img src=x>.pdf`, mimeType: 'application/pdf', buffer: pdf('', 100).buffer }
    await attach(ada, name)
    await ada.getByText(name.name, { exact: true }).waitFor()
    await ada.reload()
    await ada.getByText(`<img src=x onerror='${SCRIPT}'>`).waitFor()
    assert.equal(await ada.evaluate('window.hacked'), undefined)
    assert.ok(!requests.some(({ url }) => url.pathname === '/hacked' || url.pathname.endsWith('/x')))
  })

  it('says that a file is too large, and the server does too', async () => {
    const ada = await enter()
    const tooLarge =
      'new File(["%PDF-1.4", new Uint8Array(60 * 1024 * 1024)], "film.pdf", { type: "application/pdf" })'
    await ada.evaluate(`{
      const data = new DataTransfer()
      data.items.add(${tooLarge})
      document.dispatchEvent(new DragEvent('drop', { dataTransfer: data }))
    }`)
    await uploads(ada).getByText('This is too large. Files may have up to 50 MB.').waitFor()
    const status = await ada.evaluate(`(async () => {
      const form = new FormData()
      form.append('file', ${tooLarge})
      return (await fetch('files', { method: 'POST', body: form })).status
    })()`)
    assert.equal(status, 413)
    assert.ok(!(await stored()).some((name) => name.includes('film')))
  })

  it('does not give out files of other rooms, nor files that are not in a message', async () => {
    const ada = await enter()
    await attach(ada, pdf('Secret.pdf', 1000))
    await ada.getByRole('log').getByText('Secret.pdf').waitFor()
    const id = await ada.getByRole('log').getByRole('listitem').last().getAttribute('id')
    const ben = await enter()
    const post = (path: string, body: object) =>
      ben.evaluate<number>(
        `fetch('${path}', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '${JSON.stringify(body)}' }).then(({ status }) => status)`,
      )
    const accept = (name: string) => post('uploads/accept', { name, filename: 'mine.pdf' })
    const statuses = [
      await ben.evaluate(`fetch('files/${id}').then(({ status }) => status)`),
      await accept(`documents/${roomOf(ada)}/Secret.pdf`),
      await accept(`chat_uploads/../documents/${roomOf(ada)}/Secret.pdf`),
      await accept('chat_uploads/none.pdf'),
      await ben.evaluate(
        `fetch('/uploads/documents/${roomOf(ada)}/Secret.pdf').then(({ status }) => status)`,
      ),
      await ben.evaluate(`fetch('/rooms/Not%20a%20room/events').then(({ status }) => status)`),
    ]
    assert.deepEqual(statuses, [404, 400, 400, 404, 403, 404])
    complaints.length = 0
    assert.ok((await stored()).includes(`documents/${roomOf(ada)}/Secret.pdf`))
  })

  it('keeps the room when the server starts again, and its pages go on', async () => {
    const before = await startChat()
    onTestFinished(() => before.stop())
    const ada = await enter({ app: before })
    await say(ada, 'Still here?')
    await ada.getByRole('log').getByText('Still here?').waitFor()
    await before.halt()
    await ada.getByText('Connecting again…').waitFor()
    const { port } = new URL(before.address)
    const after = await startChat({ MEDIA_ROOT: before.mediaRoot, PORT: port })
    onTestFinished(() => after.stop())
    const ben = await enter({ app: after, room: roomOf(ada) })
    await ben.getByText('Still here?').waitFor()
    await say(ben, 'Yes, and you?')
    await ada.getByText('Yes, and you?').waitFor()
    assert.equal(await ada.getByText('Still here?').count(), 1)
    complaints.splice(0, complaints.length, ...complaints.filter((text) => !text.includes('ERR_')))
  })

  it.each([
    ['a small phone', { width: 320, height: 600 }],
    ['a desktop', { width: 1600, height: 900 }],
  ])('fits %s, and can be used by the keyboard and by a screen reader', async (_, viewport) => {
    const ada = await enter({ viewport })
    await say(ada, 'A word without an end: '.padEnd(300, 'a'))
    await attach(
      ada,
      shipped('photo.png'),
      pdf(`${'Long name '.repeat(12)}.pdf`, 1000),
      shipped('voice-note.webm'),
    )
    await sounds(ada).waitFor({ state: 'attached' })
    await ada.getByAltText('photo.png').waitFor()
    assert.equal(await ada.evaluate('document.documentElement.scrollWidth - innerWidth'), 0)
    assert.equal(
      await ada.evaluate(
        'document.querySelector("main").scrollWidth - document.querySelector("main").clientWidth',
      ),
      0,
    )
    const nameless = await ada.evaluate<string[]>(`
      [...document.querySelectorAll('button, input, textarea, a, img')]
        .filter((element) => !(element.ariaLabel || element.textContent.trim() || element.hasAttribute('alt') ||
          element.labels?.length || element.querySelector('[alt]')))
        .map((element) => element.outerHTML)`)
    assert.deepEqual(nameless, [])
    await ada.getByLabel('Message', { exact: true }).focus()
    await ada.keyboard.type('By keyboard')
    await ada.keyboard.press('Tab')
    await ada.keyboard.press('Tab')
    await ada.keyboard.press('Enter')
    await ada.getByRole('log').getByText('By keyboard').waitFor()
  })
})

describe.skipIf(!chromiumInstalled())('the chat on R2', { timeout: 120_000 }, () => {
  it('sends by both ways and plays, past the server', async () => {
    const r2 = await startLocalR2()
    const app = await startChat(r2.env)
    onTestFinished(async () => {
      await app.stop()
      await r2.close()
    })
    const ada = await enter({ app })
    await attach(ada, shipped('photo.png'), pdf('Plans.pdf', 6 * MIB), shipped('voice-note.webm'))
    await ada.getByRole('log').getByText('Plans.pdf').waitFor()
    await until(ada, 'document.querySelector(".image img")?.naturalWidth === 160')
    await ada.getByRole('button', { name: 'Play voice-note.webm' }).click()
    await until(ada, 'document.querySelector("audio").currentTime > 0.1')
    await ada.getByRole('slider').fill('0.5')
    await until(ada, 'document.querySelector("audio").currentTime >= 0.5')
    const past = requests.filter(({ url }) => url.origin === r2.endpoint).map(({ method }) => method)
    assert.equal(past.filter((method) => method === 'PUT').length, 1)
    assert.ok(past.filter((method) => method === 'GET').length >= 2)
  })

  it.each([
    ['try again later', 503, 'The storage cannot be reached. Please try again'],
    ['storage full', 507, 'The storage is full. Please try again when there is room.'],
  ])('says %s beside the upload, and sends it when the user tries again', async (_, status, message) => {
    const r2 = await startLocalR2()
    const gate = await startGate(r2.endpoint)
    const app = await startChat({ ...r2.env, R2_ENDPOINT_URL: gate.address })
    onTestFinished(async () => {
      await app.stop()
      gate.close()
      await r2.close()
    })
    const ada = await enter({ app })
    ada.setDefaultTimeout(60_000)
    gate.answer = status
    await attach(ada, shipped('photo.png'), pdf('Plans.pdf', 5 * MIB))
    for (const name of ['photo.png', 'Plans.pdf']) {
      await uploads(ada).filter({ hasText: name }).getByText(message).waitFor()
    }
    assert.equal(await ada.getByRole('log').getByRole('listitem').count(), 0)
    gate.answer = undefined
    for (const name of ['photo.png', 'Plans.pdf']) {
      await uploads(ada).filter({ hasText: name }).getByRole('button', { name: 'Try again' }).click()
    }
    await ada.getByAltText('photo.png').waitFor()
    await ada.getByRole('log').getByText('Plans.pdf').waitFor()
    assert.equal(await uploads(ada).count(), 0)
  })
})

const noMounts = await whyNoMounts()

describe.skipIf(!chromiumInstalled() || noMounts !== undefined)('the chat on a full disk', () => {
  afterEach(unmountAll)

  it('says that the storage is full, and goes on with what fits', { timeout: 120_000 }, async () => {
    const app = await startChat({ MEDIA_ROOT: await mountSmall('size=1m') })
    onTestFinished(() => app.stop())
    const ada = await enter({ app })
    await attach(ada, pdf('By form.pdf', 2 * MIB), pdf('Direct.pdf', 6 * MIB))
    for (const name of ['By form.pdf', 'Direct.pdf']) {
      const card = uploads(ada).filter({ hasText: name })
      await card.getByText('The storage is full. Please try again when there is room.').waitFor()
      await card.getByRole('button', { name: 'Try again' }).waitFor()
    }
    await attach(ada, shipped('photo.png'))
    await ada.getByAltText('photo.png').waitFor()
    assert.deepEqual(await stored(app), [`documents/${roomOf(ada)}/photo.png`])
  })
})
