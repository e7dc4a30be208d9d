import { inspect } from 'node:util'
import { isStorageError, R2Storage } from 'stowage'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../servers/r2.js'
import { always, BUSY, MIB, setUpR2, streamOf } from './r2-setup.js'

const TOKEN = 'session-token-0123456789'

/** All that a log could show of an error, its causes included. */
function everythingIn(error: unknown): string {
  const texts: string[] = [inspect(error, { showHidden: true, depth: 10 }), String(error)]
  for (let each = error; each instanceof Error; each = each.cause) {
    texts.push(
      JSON.stringify(each),
      each.message,
      each.stack ?? '',
      inspect(each, { showHidden: true, depth: 10 }),
    )
  }
  return texts.join('\n')
}

/** What of the forbidden is in a text; not the text, which would make a page of each failure. */
function leaksIn(text: string, secretAccessKey: string): string[] {
  const marks = /X-Amz-Signature|x-amz-security-token|authorization|AWS4-HMAC|Signature=/gi
  const found = new Set(text.match(marks) ?? [])
  if (text.includes(secretAccessKey)) found.add('secret key')
  if (text.includes(TOKEN)) found.add('session token')
  return [...found]
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath, { sessionToken: TOKEN })

  const situations: Record<string, Verdict> = {
    '400': { status: 400, code: 'InvalidRequest' },
    '401': { status: 401, code: 'Unauthorized' },
    '403': { status: 403, code: 'SignatureDoesNotMatch' },
    '404': { status: 404, code: 'NoSuchBucket' },
    '412': { status: 412, code: 'PreconditionFailed' },
    '416': { status: 416, code: 'InvalidRange' },
    '429': { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '0' } },
    '501': { status: 501, code: 'NotImplemented' },
    '503': BUSY,
    '507': { status: 507, code: 'QuotaExceeded' },
    'a page of HTML': { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' },
    'a success that is none': { status: 200, headers: {}, body: 'OK' },
    'a broken connection': 'reset',
    'no answer': 'hang',
    'a body that is cut short': { cutAfter: 3 },
  }

  it.each(Object.entries(situations))('no error shows a secret or a signature: %s', showsNothing)

  async function showsNothing(what: string, verdict: Verdict): Promise<void> {
    const storage = r2.storage({ maxAttempts: 2, idleTimeout: 200, retryTimeout: 1_500 })
    r2.server.bucket().plant('a.txt', 'some content')
    r2.server.behaviour.onRequest = always(verdict)
    const signal = () => AbortSignal.timeout(100)
    const works: Promise<unknown>[] = [
      storage.save('a.txt', 'x', { ifExists: 'error' }),
      storage.save('big.bin', streamOf(9 * MIB)),
      storage.open('a.txt').then((file) => file.read()),
      storage.open('a.txt', { range: { offset: 2 } }).then((file) => file.stream().toArray()),
      storage.stat('a.txt'),
      storage.exists('a.txt'),
      storage.listdir(),
      storage.copy('a.txt', 'b.txt'),
      storage.move('a.txt', 'c.txt'),
      storage.delete('a.txt'),
      storage.deleteMany(['a.txt', 'b.txt']),
      storage.deletePrefix('a'),
      storage.save('aborted.txt', 'x', { signal: signal() }),
      storage.signedUrl('a.txt', { expiresIn: 0 }),
      storage.signedUpload('a.txt', { size: 1, contentType: 'text/plain' }),
    ]
    const { secretAccessKey } = r2.server
    const errors = (await Promise.allSettled(works)).flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    )
    expect(errors.length, what).toBeGreaterThan(1)
    for (const error of errors) {
      expect(isStorageError(error)).toBe(true)
      expect(leaksIn(everythingIn(error), secretAccessKey), String(error)).toEqual([])
    }
  }

  it('no error about the options shows a secret', () => {
    const keys = {
      accessKeyId: 'key-id-0123456789',
      secretAccessKey: 'secret-key-0123456789',
      sessionToken: TOKEN,
    }
    for (const options of [
      { bucket: '' },
      { bucket: 'b-1', endpoint: 'nonsense' },
      { bucket: 'b-1', endpoint: 'https://key:secret-key-0123456789@e.example' },
      { bucket: 'b-1', endpoint: 'https://e.example', publicBaseUrl: 'ftp://x' },
      { bucket: 'b-1', endpoint: 'https://e.example', partSize: 1 },
    ]) {
      let error: unknown
      try {
        new R2Storage({ ...keys, ...options })
      } catch (caught) {
        error = caught
      }
      expect(isStorageError(error)).toBe(true)
      expect(everythingIn(error)).not.toMatch(/secret-key-0123456789|session-token-0123456789/)
    }
  })

  it('the storage itself shows none when it is logged', async () => {
    const storage = r2.storage()
    await storage.save('a.txt', 'x')
    const file = await storage.open('a.txt')
    for (const value of [storage, file]) {
      const text = inspect(value, { showHidden: true, depth: 10 }) + JSON.stringify(value)
      expect(leaksIn(text, r2.server.secretAccessKey)).toEqual([])
    }
    await file.close()
  })
})
