import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { inspect } from 'node:util'
import { cloudflarePurge, createDefaultStorage, type OperationEvent, R2Storage } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { setUpR2 } from '../integration/r2-setup.js'

const TOKEN = 'token-that-nobody-may-see'
const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Answer = { status?: number; headers?: Record<string, string>; body?: string }

/** Cloudflare's API as far as a purge goes. `answers` are given first, one a request. */
async function startCloudflare(...answers: Answer[]) {
  const purged: string[][] = []
  const seen: IncomingMessage[] = []
  const server = createServer(async (request, response) => {
    const { files }: { files: string[] } = JSON.parse(await text(request))
    seen.push(request)
    const isRight = request.url === '/client/v4/zones/zone1/purge_cache' && request.method === 'POST'
    const isKnown = request.headers.authorization === `Bearer ${TOKEN}`
    const usual: Answer = isKnown && isRight ? {} : { status: 403, body: '{"success":false,"errors":[]}' }
    const { status = 200, headers = {}, body = '{"success":true,"errors":[]}' } = answers.shift() ?? usual
    purged.push(files)
    response.writeHead(status, headers).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  const { port } = server.address() as AddressInfo
  const endpoint = `http://127.0.0.1:${port}/client/v4`
  return { purged, seen, endpoint, purge: cloudflarePurge({ zoneId: 'zone1', apiToken: TOKEN, endpoint }) }
}

function purgeEvents(): OperationEvent[] {
  const events: OperationEvent[] = []
  const subscribers = {
    asyncEnd: (event: OperationEvent) => {
      if (event.operation === 'purge') events.push({ ...event })
    },
  }
  const channel = tracingChannel<OperationEvent>('stowage:operation')
  // Node's types want all of them.
  const all = { start: () => {}, end: () => {}, asyncStart: () => {}, error: () => {}, ...subscribers }
  channel.subscribe(all)
  closing.push(() => channel.unsubscribe(all))
  return events
}

describe('cloudflarePurge', () => {
  const urls = (count: number) => Array.from({ length: count }, (_, index) => `https://cdn.test/${index}`)

  it('sends thirty addresses a request', async () => {
    const { purge, purged } = await startCloudflare()
    await purge(urls(70))
    assert.deepEqual(
      purged.map((files) => files.length),
      [30, 30, 10],
    )
    assert.deepEqual(purged.flat(), urls(70))
  })

  it('sends what comes meanwhile together, and each address once', async () => {
    const { purge, purged } = await startCloudflare()
    await Promise.all([purge(['a']), purge(['b']), purge(['c', 'b']), purge([])])
    assert.deepEqual(purged, [['a'], ['b', 'c']])
  })

  it('waits as long as a 429 says', async () => {
    const limited = { status: 429, headers: { 'retry-after': '1' }, body: '{"success":false}' }
    const { purge, purged } = await startCloudflare(limited)
    const begun = Date.now()
    await purge(['a'])
    assert.deepEqual(purged, [['a'], ['a']])
    assert.ok(Date.now() - begun >= 990)
  })

  it('tries again what may pass, and gives up on what does not', async () => {
    const { purge, purged } = await startCloudflare({ status: 502 }, { status: 503 })
    await purge(['a'])
    assert.equal(purged.length, 3)
  })

  it.each<[string, Answer, string]>([
    [
      'a refusal',
      { status: 403, body: '{"success":false,"errors":[{"message":"no such zone"}]}' },
      'PermissionDenied',
    ],
    ['a success that is none', { body: '{"success":false,"errors":[]}' }, 'Unknown'],
    ['a page of something else', { body: '<html>' }, 'Unknown'],
  ])('rejects for %s at once', async (_, answer, code) => {
    const { purge, purged } = await startCloudflare(answer)
    await assert.rejects(purge(['a']), { code })
    assert.equal(purged.length, 1)
    await purge(['b'])
  })

  it.each([
    { zoneId: '', apiToken: TOKEN },
    { zoneId: 'a/b', apiToken: TOKEN },
    { zoneId: 'zone1', apiToken: `${TOKEN}\n` },
    { zoneId: 'zone1', apiToken: TOKEN, endpoint: 'cloudflare' },
    undefined,
  ])('refuses options without showing them', (options) => {
    const given = options as Parameters<typeof cloudflarePurge>[0]
    assert.throws(
      () => cloudflarePurge(given),
      (error) => {
        assert.equal(Reflect.get(Object(error), 'code'), 'Misconfigured')
        assert.doesNotMatch(inspect(error), new RegExp(TOKEN))
        return true
      },
    )
  })
})

describe.each([undefined, 'app'])('the option purge (prefix %s)', (prefix) => {
  const r2 = setUpR2(true)
  const at = (name: string) => `https://cdn.test/${prefix === undefined ? '' : `${prefix}/`}${name}`

  async function set(...answers: Answer[]) {
    const cloudflare = await startCloudflare(...answers)
    const storage = r2.storage({ prefix, publicBaseUrl: 'https://cdn.test', purge: cloudflare.purge })
    return { ...cloudflare, storage }
  }

  it('purges what is overwritten or deleted, and nothing else', async () => {
    const { storage, purged } = await set()
    await storage.save('ä b', '1')
    await storage.save('ä b', '2')
    await storage.copy('ä b', 'copy')
    await storage.open('copy')
    assert.deepEqual(purged, [])
    await storage.save('ä b', '3', { ifExists: 'overwrite' })
    await storage.copy('ä b', 'copy', { ifExists: 'overwrite' })
    await storage.move('copy', 'moved')
    await storage.delete('moved')
    await storage.deleteMany(['x', 'y'])
    assert.deepEqual(purged, [
      [at('%C3%A4%20b')],
      [at('copy')],
      [at('copy')],
      [at('moved')],
      [at('x'), at('y')],
    ])
  })

  it('purges what is deleted with its folder', async () => {
    const { storage, purged } = await set()
    for (const name of ['d/a', 'd/b/c', 'e']) await storage.save(name, 'x')
    assert.deepEqual(await storage.deletePrefix('d', { dryRun: true }), { deleted: 2 })
    assert.deepEqual(purged, [])
    assert.deepEqual(await storage.deletePrefix('d'), { deleted: 2 })
    assert.deepEqual(purged, [[at('d/a'), at('d/b/c')]])
    assert.equal(await storage.exists('e'), true)
  })

  it('fails nothing, and reports the failure', async () => {
    const events = purgeEvents()
    const refusal = { status: 403, body: '{"success":false,"errors":[{"message":"no"}]}' }
    const { storage } = await set(refusal)
    await storage.save('a', '1', { ifExists: 'overwrite' })
    await storage.delete('a')
    assert.deepEqual(
      events.map(({ file, outcome, storage: by }) => [file, outcome, by]),
      [
        ['a', 'PermissionDenied', String(storage)],
        ['a', 'ok', String(storage)],
      ],
    )
    assert.doesNotMatch(inspect([events, storage], { depth: 9 }), new RegExp(TOKEN))
  })

  it('survives a purge that throws, also at once', async () => {
    const events = purgeEvents()
    const purge = () => {
      throw new Error('broken')
    }
    const storage = r2.storage({ prefix, publicBaseUrl: 'https://cdn.test', purge })
    assert.equal(await storage.save('a', '1', { ifExists: 'overwrite' }), 'a')
    assert.equal(events[0]?.outcome, 'Unknown')
  })
})

describe('the purge of the environment', () => {
  const env = {
    R2_ENABLED: '1',
    R2_ACCESS_KEY_ID: 'id',
    R2_SECRET_ACCESS_KEY: 'secret',
    R2_BUCKET_NAME: 'bucket',
    R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com',
    R2_PUBLIC_BASE_URL: 'https://cdn.test',
    R2_PURGE_ZONE_ID: 'zone1',
    R2_PURGE_API_TOKEN: TOKEN,
  }

  it('needs all of its variables', () => {
    assert.equal(String(createDefaultStorage(env)), 'R2Storage(bucket)')
    for (const variable of ['R2_PUBLIC_BASE_URL', 'R2_PURGE_ZONE_ID', 'R2_PURGE_API_TOKEN']) {
      assert.throws(() => createDefaultStorage({ ...env, [variable]: ' ' }), {
        code: 'Misconfigured',
        message: new RegExp(`${variable} is not set`),
      })
    }
  })

  it('needs a public address as an option, too', () => {
    const keys = { bucket: 'bucket', accountId: 'a', accessKeyId: 'a', secretAccessKey: 'b' }
    const purge = cloudflarePurge({ zoneId: 'zone1', apiToken: TOKEN })
    assert.throws(() => new R2Storage({ ...keys, purge }), {
      code: 'Misconfigured',
      message: /publicBaseUrl/,
    })
  })
})
