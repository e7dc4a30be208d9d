import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it, onTestFinished } from 'vitest'
import { chromiumInstalled, launchChromium } from './chromium.js'

describe.skipIf(!chromiumInstalled())('Chromium', () => {
  it('shows pages of this machine, and reaches no other', async () => {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'text/html').end('<script>document.title = "it runs"</script>')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const browser = await launchChromium()
    onTestFinished(async () => {
      await browser.close()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const page = await browser.newPage()
    for (const host of ['127.0.0.1', 'localhost']) {
      await page.goto(`http://${host}:${port}/`)
      assert.equal(await page.title(), 'it runs')
    }
    for (const host of ['example.com', '192.0.2.1', '[2001:db8::1]']) {
      await assert.rejects(page.goto(`http://${host}/`), /ERR_NAME_NOT_RESOLVED|ERR_ADDRESS/)
    }
  })
})
