/** Create-only writes on servers that are not known to have them: tried out once, refused, or by a look first. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type R2StorageOptions, S3Storage, type Storage } from 'stowage'
import { beforeEach, describe, expect, it } from 'vitest'
import type { RequestInfo, Verdict } from '../servers/r2.js'
import { first, MIB, setUpR2, streamOf } from './r2-setup.js'

/** The two ways out that the message names. */
const WAYS_OUT = /ifExists: 'overwrite'.*createOnly: 'check'/
const UNSUPPORTED = { code: 'Unsupported', status: 501, message: expect.stringMatching(WAYS_OUT) }

/** As OpenStack Swift and others do: 501 to the condition. */
const refusingConditions = ({ headers }: RequestInfo): Verdict =>
  headers['if-none-match'] === undefined ? undefined : { status: 501, code: 'NotImplemented' }

describe.each([{ fastPath: true }, { fastPath: false }])('fastPath $fastPath', ({ fastPath }) => {
  const r2 = setUpR2(fastPath, { conditionalCopyHeader: false })
  const unknown: Partial<R2StorageOptions> = { conditionalCompletion: undefined, conditionalCopy: undefined }
  /** The stand-in is a server that nobody knows by its address. */
  const storage = (options: Partial<R2StorageOptions> = {}) => r2.storage({ ...unknown, ...options })
  const checking = () => storage({ createOnly: 'check', partSize: 5 * MIB })
  const plant = (name: string, text = 'precious') => r2.server.bucket().plant(name, text)
  const keys = () => r2.server.bucket().keys()
  const textOf = async (name: string) => (await storage().open(name)).text()
  const probes = () => r2.server.requests.filter(({ key }) => key.includes('.stowage/probe-'))

  describe('on a server with conditions', () => {
    it('tries it out once a storage, and leaves nothing', async () => {
      const one = storage()
      await Promise.all(Array.from({ length: 5 }, (_, n) => one.save(`${n}.txt`, 'x')))
      await one.save('a.txt', 'x')
      expect(probes().map(({ operation }) => operation)).toEqual(['PutObject', 'PutObject', 'DeleteObject'])
      expect(keys()).toEqual(['0.txt', '1.txt', '2.txt', '3.txt', '4.txt', 'a.txt'])
    })

    it('tries out completions as well where an upload needs them, and leaves nothing', async () => {
      const one = storage({ partSize: 5 * MIB })
      await one.save('a.bin', streamOf(6 * MIB))
      await one.save('a.bin', Buffer.alloc(6 * MIB))
      expect(keys()).toHaveLength(2)
      expect(r2.server.openUploads).toBe(0)
      expect(probes()).toHaveLength(9)
    })

    it('tries nothing out for overwrites, copies over a file, reads and deletes', async () => {
      plant('from.txt')
      const one = storage()
      await one.save('a.txt', 'x', { ifExists: 'overwrite' })
      await one.save('b.txt', streamOf(9 * MIB), { ifExists: 'overwrite' })
      await one.copy('from.txt', 'a.txt', { ifExists: 'overwrite' })
      await one.move('from.txt', 'b.txt', { ifExists: 'overwrite' })
      await one.signedUpload('c.txt', { size: 1, contentType: 'text/plain', ifExists: 'overwrite' })
      await one.stat('a.txt')
      await one.exists('nope.txt')
      await one.listdir()
      await one.deleteMany(['a.txt', 'b.txt'])
      expect(probes()).toEqual([])
    })

    it('keeps the probe below the prefix', async () => {
      await storage({ prefix: 'tenants/7' }).save('a.txt', 'x')
      expect(probes().every(({ key }) => key.startsWith('tenants/7/.stowage/'))).toBe(true)
      expect(probes()).toHaveLength(3)
    })

    it('tries it out beside the file where the credentials are limited to a folder and a type', async () => {
      r2.server.behaviour.onRequest = ({ key }) =>
        /^users\/42\/.*\.png$/.test(key) ? undefined : { status: 403, code: 'AccessDenied' }
      const one = storage()
      expect(await one.save('users/42/a.png', 'x')).toBe('users/42/a.png')
      expect(keys()).toEqual(['users/42/a.png'])
      expect(probes().at(-1)?.key).toMatch(/^users\/42\/\.stowage\/probe-.*\.png$/)
      r2.server.requests.length = 0
      await one.save('users/42/b.png', 'x')
      expect(r2.operations()).toEqual(['PutObject'])
    })

    it('looks first where the credentials permit one name only', async () => {
      r2.server.behaviour.onRequest = ({ key }) =>
        key === 'a.png' ? undefined : { status: 403, code: 'AccessDenied' }
      const one = storage()
      expect(await one.save('a.png', 'x')).toBe('a.png')
      await expect(one.save('a.png', 'y', { ifExists: 'error' })).rejects.toMatchObject({
        code: 'AlreadyExists',
      })
      expect(keys()).toEqual(['a.png'])
    })

    it('does not mind credentials that may not delete', async () => {
      r2.server.behaviour.onRequest = ({ operation }) =>
        operation === 'DeleteObject' ? { status: 403, code: 'AccessDenied' } : undefined
      expect(await storage().save('a.txt', 'x')).toBe('a.txt')
    })

    it('says that the credentials are wrong', async () => {
      const wrong = storage({ secretAccessKey: 'wrong' })
      await expect(wrong.save('a.txt', 'x')).rejects.toMatchObject({
        code: 'PermissionDenied',
        message: expect.stringContaining('secret'),
      })
    })

    it('tries again after a failure', async () => {
      const one = storage({ maxAttempts: 1 })
      r2.server.behaviour.onRequest = first('PutObject', { status: 503, code: 'ServiceUnavailable' })
      await expect(one.save('a.txt', 'x')).rejects.toMatchObject({ code: 'Unavailable' })
      expect(await one.save('a.txt', 'x')).toBe('a.txt')
      expect(keys()).toEqual(['a.txt'])
    })

    it('takes a lost answer to the probe for what it is', async () => {
      r2.server.behaviour.onRequest = first('PutObject', { afterwards: 'reset' })
      expect(await storage().save('a.txt', 'x')).toBe('a.txt')
      expect(keys()).toEqual(['a.txt'])
    })

    it('does not let the abort of one save fail another', async () => {
      r2.server.behaviour.delayMs = 50
      const one = storage()
      const controller = new AbortController()
      const aborted = one.save('a.txt', 'x', { signal: controller.signal })
      const other = one.save('b.txt', 'x')
      await sleep(20)
      controller.abort()
      await expect(aborted).rejects.toMatchObject({ code: 'Aborted' })
      expect(await other).toBe('b.txt')
      expect(keys()).toEqual(['b.txt'])
    })
  })

  describe.each([
    {
      server: 'ignores conditions',
      set: () => {
        r2.server.behaviour.conditionalWrites = false
      },
    },
    {
      server: 'refuses conditions',
      set: () => {
        r2.server.behaviour.onRequest = refusingConditions
      },
    },
  ])('on a server that $server', ({ set }) => {
    beforeEach(() => set())

    const writes: Record<string, (one: Storage) => Promise<unknown>> = {
      'a save': (one) => one.save('a.txt', 'x'),
      "a save with ifExists: 'error'": (one) => one.save('a.txt', 'x', { ifExists: 'error' }),
      'a save of parts': (one) => one.save('b.bin', Buffer.alloc(9 * MIB)),
      'a save of a stream': (one) => one.save('b.bin', streamOf(9 * MIB)),
      'a copy': (one) => one.copy('from.txt', 'b.txt'),
      'a move': (one) => one.move('from.txt', 'b.txt', { ifExists: 'error' }),
      'a signed upload': (one) => one.signedUpload('b.txt', { size: 1, contentType: 'text/plain' }),
    }
    it.each(Object.entries(writes))(
      'refuses %s with both ways out, and changes nothing',
      async (_, write) => {
        plant('a.txt')
        plant('from.txt')
        const one = storage()
        await expect(write(one)).rejects.toMatchObject(UNSUPPORTED)
        await expect(write(one)).rejects.toMatchObject(UNSUPPORTED)
        expect(keys()).toEqual(['a.txt', 'from.txt'])
        expect(await textOf('a.txt')).toBe('precious')
        expect(r2.server.openUploads).toBe(0)
        expect(probes().length).toBeLessThan(7)
      },
    )

    it('says so of an S3Storage, too', async () => {
      const { endpoint, accessKeyId, secretAccessKey } = r2.server
      const options = { endpoint, accessKeyId, secretAccessKey, bucket: 'test-bucket', fastPath }
      const one = new S3Storage({ ...options, region: 'auto' })
      await expect(one.save('a.txt', 'x')).rejects.toMatchObject(UNSUPPORTED)
    })

    it('overwrites, copies over files, reads and deletes', async () => {
      plant('from.txt')
      const one = storage()
      const over = { ifExists: 'overwrite' } as const
      expect(await one.save('a.txt', 'x', over)).toBe('a.txt')
      expect(await one.save('b.bin', streamOf(9 * MIB), over)).toBe('b.bin')
      expect(await one.copy('from.txt', 'a.txt', over)).toBe('a.txt')
      expect(await one.move('from.txt', 'c.txt', over)).toBe('c.txt')
      expect(await textOf('a.txt')).toBe('precious')
      await one.delete('a.txt')
      expect(keys()).toEqual(['b.bin', 'c.txt'])
    })

    describe("with createOnly: 'check'", () => {
      const contents: Record<string, () => Buffer | AsyncIterable<Buffer>> = {
        'a small content': () => Buffer.from('x'),
        'a content of parts': () => Buffer.alloc(6 * MIB),
        'a stream': () => streamOf(6 * MIB),
      }
      describe.each(Object.entries(contents))('%s', (_, content) => {
        it('gets the name where it is free, and another where it is taken', async () => {
          expect(await checking().save('a.txt', content())).toBe('a.txt')
          plant('b.txt')
          const stored = await checking().save('b.txt', content())
          expect(stored).toMatch(/^b_\w{7}\.txt$/)
          expect(await textOf('b.txt')).toBe('precious')
          expect(keys().sort()).toEqual(['a.txt', 'b.txt', stored].sort())
          expect(r2.server.openUploads).toBe(0)
        })

        it("is refused by ifExists: 'error' where the name is taken", async () => {
          plant('a.txt')
          const saved = checking().save('a.txt', content(), { ifExists: 'error' })
          await expect(saved).rejects.toMatchObject({ code: 'AlreadyExists' })
          expect(await textOf('a.txt')).toBe('precious')
        })
      })

      it.each(['copy', 'move'] as const)(
        'does a %s to a free name, also where the name is taken',
        async (method) => {
          r2.server.bucket().plant('from.txt', 'content', { metadata: { by: 'me' } })
          plant('to.txt')
          const stored = await checking()[method]('from.txt', 'to.txt')
          expect(stored).toMatch(/^to_\w{7}\.txt$/)
          expect(await textOf('to.txt')).toBe('precious')
          const copy = await storage().open(stored)
          expect([await copy.text(), copy.metadata]).toEqual(['content', { by: 'me' }])
          expect(keys().includes('from.txt')).toBe(method === 'copy')
          plant('again.txt')
          const again = checking()[method]('again.txt', 'to.txt', { ifExists: 'error' })
          await expect(again).rejects.toMatchObject({ code: 'AlreadyExists' })
          expect(await textOf('again.txt')).toBe('precious')
        },
      )

      it('copies an empty file', async () => {
        plant('from.txt', '')
        expect(await checking().copy('from.txt', 'to.txt')).toBe('to.txt')
        expect(keys()).toEqual(['from.txt', 'to.txt'])
      })

      it('has content and metadata of one version where the source of a copy is replaced', async () => {
        r2.server.bucket().plant('from.txt', 'old', { metadata: { version: '1' } })
        let replaced = false
        const usual = r2.server.behaviour.onRequest
        r2.server.behaviour.onRequest = (info) => {
          if (info.operation === 'CopyObject' && !replaced) {
            replaced = true
            r2.server.bucket().plant('from.txt', 'newer', { metadata: { version: '2' } })
          }
          return usual?.(info)
        }
        await checking().copy('from.txt', 'to.txt')
        const copy = await storage().open('to.txt')
        expect([await copy.text(), copy.metadata]).toEqual(['newer', { version: '2' }])
      })

      it('signs an upload to a free name, without the condition', async () => {
        plant('a.txt')
        const options = { size: 1, contentType: 'text/plain' }
        const { url, headers, name } = await checking().signedUpload('a.txt', options)
        expect(name).toMatch(/^a_\w{7}\.txt$/)
        expect(Object.keys(headers)).not.toContain('if-none-match')
        const wrong = await fetch(url, { method: 'PUT', headers, body: 'xx' })
        expect(wrong.status).toBe(403)
        const put = await fetch(url, { method: 'PUT', headers, body: 'x' })
        expect(put.status).toBe(200)
        expect(keys().sort()).toEqual(['a.txt', name].sort())
        const taken = checking().signedUpload('a.txt', { ...options, ifExists: 'error' })
        await expect(taken).rejects.toMatchObject({ code: 'AlreadyExists' })
      })

      it('tries nothing out', async () => {
        await checking().save('a.txt', 'x')
        await checking().save('a.bin', streamOf(6 * MIB))
        expect(probes()).toEqual([])
      })

      it('is there once where an answer gets lost', async () => {
        const usual = r2.server.behaviour.onRequest
        const losing = first('PutObject', { afterwards: 'reset' })
        r2.server.behaviour.onRequest = (info) => losing(info) ?? usual?.(info)
        expect(await checking().save('a.txt', 'x')).toBe('a.txt')
        expect(keys()).toEqual(['a.txt'])
      })
    })
  })

  it('refuses a misspelt createOnly', () => {
    // @ts-expect-error: no such value.
    expect(() => storage({ createOnly: 'never' })).toThrow(/createOnly must be 'condition' or 'check'/)
  })
})
