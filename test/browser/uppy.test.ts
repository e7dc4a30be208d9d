import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, PutBucketCorsCommand, S3Client } from '@aws-sdk/client-s3'
import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { FileSystemStorage, S3Storage, type Storage } from 'stowage'
import { createUploadHandler, toNodeListener, type UploadHandlerOptions } from 'stowage/http'
import { afterAll, beforeAll, describe, inject, it, onTestFinished } from 'vitest'
import { PNG } from '../http/upload-client.js'
import { chromiumInstalled, launchChromium } from './chromium.js'

const SIZE = 200 * 1024 * 1024
const keys = inject('ceph')

/** A picture of a size on the disk, for the browser to pick. */
async function fileOf(size: number, head = PNG): Promise<{ readonly path: string; readonly hash: string }> {
  const path = join(await folder(), 'picked')
  const bytes = Buffer.alloc(size, randomBytes(251))
  head.copy(bytes)
  await writeFile(path, bytes)
  return { path, hash: createHash('sha256').update(bytes).digest('hex') }
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-uppy-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

async function hashOf(storage: Storage, name: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of await storage.open(name)) hash.update(chunk)
  return hash.digest('hex')
}

interface Outcome {
  key?: string
  location?: string
  error?: string
}

describe.skipIf(!chromiumInstalled())('Uppy in Chromium', () => {
  let script: string
  let browser: Browser
  beforeAll(async () => {
    const entry = fileURLToPath(new URL('./uppy-page.mjs', import.meta.url))
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: 'iife',
      minify: true,
    })
    script = outputFiles[0]?.text ?? ''
    browser = await launchChromium()
  })
  afterAll(() => browser?.close())

  /** A page of an application with an upload handler. `partsTaken` counts PUTs to the application. */
  async function open(storage: Storage, options: Partial<UploadHandlerOptions> = {}) {
    const listener = toNodeListener(
      createUploadHandler(storage, {
        authorize: () => true,
        name: ({ filename }) => `docs/${filename}`,
        allowedTypes: ['image/png'],
        ...options,
      }),
    )
    const requests: string[] = []
    const server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`)
      listener(request, response, () => {
        response.setHeader('content-type', 'text/html')
        response.end(
          `<!doctype html><meta charset="utf-8"><input type="file"><script>${script.replaceAll('</script', '<\\/script')}</script>`,
        )
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const context = await browser.newContext()
    const page = await context.newPage()
    onTestFinished(async () => {
      await context.close()
      server.closeAllConnections()
      server.close()
    })
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return { page, requests }
  }

  async function upload(page: Page, name: string, { path }: { readonly path: string }): Promise<Outcome> {
    await page.setInputFiles('input', path)
    return page.evaluate((name) => Reflect.get(globalThis, 'upload')(name), name)
  }

  /** Reloads the page once some parts are stored, and goes on with the same file. */
  async function interrupted(
    page: Page,
    requests: string[],
    file: { readonly path: string },
  ): Promise<Outcome> {
    void upload(page, 'a.png', file).catch(() => {})
    await page.waitForFunction(() => Reflect.get(globalThis, 'parts') >= 5, undefined, { timeout: 50_000 })
    await page.reload()
    requests.length = 0
    return upload(page, 'a.png', file)
  }

  const onDisk = async (): Promise<Storage> => new FileSystemStorage({ location: await folder() })

  it('goes on with 200 MiB to the disk after the page was reloaded in the middle', async () => {
    const storage = await onDisk()
    const { page, requests } = await open(storage)
    const file = await fileOf(SIZE)
    const outcome = await interrupted(page, requests, file)
    assert.deepEqual(outcome, { key: 'docs/a.png', location: storage.url('docs/a.png') })
    assert.equal(await hashOf(storage, 'docs/a.png'), file.hash)
    const sent = requests.filter((request) => request.startsWith('PUT '))
    assert.ok(sent.length > 0 && sent.length <= 20, `${sent.length} of 25 parts were sent again`)
    assert.ok(!requests.some((request) => request.endsWith('/s3/multipart')), 'a new upload was begun')
  }, 120_000)

  it('shows why a file is refused', async () => {
    const storage = await onDisk()
    const { page } = await open(storage, { maxSize: 1000 })
    const html = Buffer.from('<html><script>alert(1)</script></html>')
    const { error } = await upload(page, 'page.png', await fileOf(html.byteLength, html))
    assert.equal(error, 'Companion request failed: Files of this type are not accepted.')
    // Uppy has one text for all refusals of a part.
    const large = await upload(page, 'large.png', await fileOf(2000))
    assert.match(large.error ?? '', /network error/)
    assert.deepEqual(await storage.listdir(), { directories: [], files: [] })
  })

  it('gets another name where the name is taken', async () => {
    const storage = await onDisk()
    await storage.save('docs/a.png', 'first')
    const { page } = await open(storage)
    const file = await fileOf(5000)
    const { key } = await upload(page, 'a.png', file)
    assert.match(key ?? '', /^docs\/a_\w{7}\.png$/)
    assert.equal(await hashOf(storage, key ?? ''), file.hash)
  })

  it.skipIf(!keys)(
    'goes on with 200 MiB straight to Ceph after the page was reloaded in the middle',
    async () => {
      assert.ok(keys)
      const { endpoint, accessKeyId, secretAccessKey } = keys
      const bucket = `uppy-${Date.now()}`
      const credentials = { accessKeyId, secretAccessKey }
      const client = new S3Client({ endpoint, region: 'default', credentials, forcePathStyle: true })
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      const rule = {
        AllowedOrigins: ['*'],
        AllowedMethods: ['PUT'],
        AllowedHeaders: ['*'],
        ExposeHeaders: ['ETag'],
      }
      await client.send(
        new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [rule] } }),
      )
      const storage = new S3Storage({ ...keys, bucket, region: 'default' })
      const { page, requests } = await open(storage)
      const file = await fileOf(SIZE)
      const { key } = await interrupted(page, requests, file)
      assert.equal(key, 'docs/a.png')
      assert.equal(await hashOf(storage, 'docs/a.png'), file.hash)
      assert.equal((await storage.stat('docs/a.png')).contentType, 'image/png')
      assert.ok(!requests.some((request) => request.startsWith('PUT ')))
      const signed = requests.filter((request) => /^GET \/s3\/multipart\/[^/]+\/\d+\?/.test(request))
      assert.ok(signed.length > 0 && signed.length <= 20, `${signed.length} of 25 parts were sent again`)
      const names: string[] = []
      for await (const { name } of storage.list('', { onInvalidName: (name) => names.push(name) }))
        names.push(name)
      assert.deepEqual(names, ['docs/a.png'])
    },
    180_000,
  )
})
