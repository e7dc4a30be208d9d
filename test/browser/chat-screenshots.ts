/**
 * Takes the screenshots of the README: `npx tsx test/browser/chat-screenshots.ts`. The letters are those of the system;
 * the pictures in the chat are drawn here.
 */
import { mkdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { startChat } from './chat-app.js'
import { launchChromium } from './chromium.js'

const images = fileURLToPath(new URL('../../docs/images/', import.meta.url))

/** Draws a picture on a canvas in the page, and gives its bytes. */
async function draw(page: Page, width: number, height: number, source: string): Promise<Buffer> {
  const url = await page.evaluate<string>(`{
    const canvas = Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} })
    const paper = canvas.getContext('2d')
    const shade = (from, to, ...colours) => {
      const gradient = paper.createLinearGradient(0, from, 0, to)
      colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour))
      return gradient
    }
    const shape = (colour, ...points) => {
      paper.fillStyle = colour
      paper.beginPath()
      points.forEach(([x, y]) => paper.lineTo(x, y))
      paper.fill()
    }
    const disc = (colour, x, y, radius) => {
      paper.fillStyle = colour
      paper.beginPath()
      paper.arc(x, y, radius, 0, 7)
      paper.fill()
    }
    ${source}
    canvas.toDataURL('image/png')
  }`)
  return Buffer.from(url.split(',')[1] ?? '', 'base64')
}

const HARBOUR = `
  paper.fillStyle = shade(0, 360, '#26305e', '#a4486b', '#f2935c', '#ffd58a')
  paper.fillRect(0, 0, 800, 600)
  disc('#fff0c4', 520, 325, 46)
  shape('#5c3a63', [0, 330], [90, 270], [170, 312], [270, 235], [380, 330], [470, 300], [560, 345], [800, 300], [800, 380], [0, 380])
  shape('#43305a', [0, 350], [140, 318], [300, 362], [640, 352], [800, 328], [800, 390], [0, 390])
  paper.fillStyle = shade(370, 600, '#e68a63', '#7a4468', '#222a55')
  paper.fillRect(0, 370, 800, 230)
  for (let row = 0; row < 15; row++) {
    paper.fillStyle = 'rgba(255, 236, 190, ' + (0.75 - row * 0.045) + ')'
    const width = 90 - row * 2.5 + (row * 37) % 50
    paper.fillRect(520 - width / 2 + ((row * 53) % 40 - 20), 378 + row * 14, width, 4)
  }
  shape('#1a1f42', [168, 440], [348, 440], [322, 482], [198, 482])
  shape('#1a1f42', [254, 200], [259, 200], [259, 444], [254, 444])
  shape('#f7e3c0', [264, 214], [264, 420], [346, 420])
  shape('#e9bf93', [248, 244], [248, 420], [184, 420])
`

const FACES = {
  Mira: `
    paper.fillStyle = shade(0, 256, '#f6b37f', '#e2725b'); paper.fillRect(0, 0, 256, 256)
    disc('#43281f', 128, 112, 76); disc('#f3c9a4', 128, 124, 56); disc('#2d6a78', 128, 282, 92)
    shape('#43281f', [70, 118], [186, 118], [176, 78], [128, 56], [80, 78])`,
  Jonas: `
    paper.fillStyle = shade(0, 256, '#9fd3d8', '#3f8f9c'); paper.fillRect(0, 0, 256, 256)
    disc('#e0a878', 128, 118, 58); disc('#d8a43c', 128, 284, 94)
    shape('#27414f', [64, 104], [192, 104], [182, 62], [128, 46], [74, 62])
    shape('#f3f1ec', [60, 104], [196, 104], [196, 116], [60, 116])`,
}

/** A microphone that hears something like speech. */
const MICROPHONE = `
  navigator.mediaDevices.getUserMedia = async () => {
    const context = new AudioContext()
    const tone = new OscillatorNode(context, { type: 'triangle', frequency: 180 })
    const voice = new GainNode(context, { gain: 0 })
    const target = new MediaStreamAudioDestinationNode(context)
    tone.connect(voice).connect(target)
    tone.start()
    for (let syllable = 0; syllable < 80; syllable++) {
      const loudness = Math.abs(Math.sin(syllable * 1.9) * Math.cos(syllable * 0.23)) ** 1.4
      voice.gain.linearRampToValueAtTime(loudness * 0.6, syllable * 0.11)
    }
    return target.stream
  }
`

async function enter(
  browser: Browser,
  address: string,
  name: keyof typeof FACES,
  options: BrowserContextOptions,
) {
  const page = await (await browser.newContext({ locale: 'en-GB', ...options })).newPage()
  await page.addInitScript(MICROPHONE)
  await page.goto(`${address}/rooms/harbour/`)
  await page.getByRole('button', { name: 'Your name and picture' }).click()
  const buffer = await draw(page, 256, 256, FACES[name])
  await page.getByLabel('Choose a picture').setInputFiles({ name: 'me.png', mimeType: 'image/png', buffer })
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.waitForTimeout(300)
  await page.getByRole('button', { name: 'Save' }).click()
  await page.locator('#me img').waitFor()
  await page.getByRole('dialog').waitFor({ state: 'hidden' })
  return page
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text)
  await page.keyboard.press('Enter')
  await page.getByRole('log').getByText(text).waitFor()
}

const chat = await startChat()
const browser = await launchChromium()
try {
  const mira = await enter(browser, chat.address, 'Mira', {
    viewport: { width: 1100, height: 900 },
    colorScheme: 'light',
  })
  const jonas = await enter(browser, chat.address, 'Jonas', {
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    colorScheme: 'dark',
  })
  await say(jonas, 'Back in the harbour. The light was worth the wait.')
  const buffer = await draw(mira, 800, 600, HARBOUR)
  await jonas.getByLabel('Attach files').setInputFiles({ name: 'Harbour.png', mimeType: 'image/png', buffer })
  await mira.getByAltText('Harbour.png').waitFor()
  await say(mira, 'Lovely! Here is the plan for tomorrow.')
  const plan = Buffer.alloc(348_000, ' ')
  plan.write('%PDF-1.4\n')
  const document = { name: 'Sailing plan.pdf', mimeType: 'application/pdf', buffer: plan }
  await mira.getByLabel('Attach files').setInputFiles(document)
  await jonas.getByRole('log').getByText('Sailing plan.pdf').waitFor()

  await jonas.getByRole('button', { name: 'Record a voice note' }).click()
  await jonas.locator('#time').getByText('0:05').waitFor()
  await jonas.getByRole('button', { name: 'Send the recording' }).click()
  await mira.getByRole('button', { name: /^Play Voice/ }).waitFor()
  await mira.getByLabel('Message', { exact: true }).fill('High tide is at nine. See you on deck!')
  await mira.getByRole('button', { name: 'Send it as speech' }).click()
  await mira.getByText('Stored', { exact: true }).waitFor()
  await jonas.getByText('Stored', { exact: true }).waitFor()

  await mkdir(images, { recursive: true })
  for (const page of [mira, jonas]) {
    await page.evaluate('document.activeElement.blur()')
    await page.mouse.move(0, 0)
  }
  await mira.waitForTimeout(1000)
  await mira.screenshot({ path: `${images}chat-desktop-light.png` })
  await jonas.screenshot({ path: `${images}chat-phone-dark.png` })
} finally {
  await browser.close()
  await chat.stop()
}
