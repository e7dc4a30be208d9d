/** Credentials without s3:ListBucket: a server answers 403 to them, not 404, where an object is missing. */
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3'
import { type R2StorageOptions, S3Storage, type Storage } from 'stowage'
import { beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

const DENIED = { code: 'PermissionDenied', message: expect.stringContaining('s3:ListBucket') }

describe.each([
  { fastPath: true, server: 'of R2', options: {} },
  { fastPath: false, server: 'of R2', options: {} },
  { fastPath: true, server: 'that nobody knows', options: { conditionalCompletion: undefined } },
  { fastPath: true, server: 'as Ceph', options: { conditionalCompletion: false, conditionalCopy: false } },
] satisfies { fastPath: boolean; server: string; options: Partial<R2StorageOptions> }[])(
  'fastPath $fastPath, a server $server',
  ({ fastPath, options }) => {
    const r2 = setUpR2(fastPath)
    const storage = (more: Partial<R2StorageOptions> = {}): Storage =>
      r2.storage({ partSize: 5 * MIB, ...options, ...more })
    const plant = (name: string, text = 'precious') => r2.server.bucket().plant(name, text)
    const keys = () => r2.server.bucket().keys()
    const text = (name: string) => r2.server.bucket().get(name)?.content.size

    beforeEach(() => {
      r2.server.behaviour.onRequest = ({ operation, key }) => {
        const reads = operation === 'HeadObject' || operation === 'GetObject'
        const hidden = reads && !keys().includes(key)
        return hidden || operation.startsWith('List') ? { status: 403, code: 'AccessDenied' } : undefined
      }
    })

    it.each([
      ['a small content', () => Buffer.from('x'), 1],
      ['an empty content', () => Buffer.alloc(0), 0],
      ['a content of parts', () => Buffer.alloc(6 * MIB), 6 * MIB],
      ['a stream', () => streamOf(6 * MIB), 6 * MIB],
    ] as const)('save %s, and take another name where it is taken', async (_, content, size) => {
      expect(await storage().save('a.txt', content())).toBe('a.txt')
      const renamed = await storage().save('a.txt', content())
      expect(renamed).toMatch(/^a_\w{7}\.txt$/)
      const taken = storage().save('a.txt', content(), { ifExists: 'error' })
      await expect(taken).rejects.toMatchObject({ code: 'AlreadyExists' })
      expect(await storage().save('a.txt', content(), { ifExists: 'overwrite' })).toBe('a.txt')
      expect([text('a.txt'), text(renamed)]).toEqual([size, size])
      expect(keys().sort()).toEqual(['a.txt', renamed].sort())
      expect(r2.server.openUploads).toBe(0)
    })

    it.each(['copy', 'move'] as const)('%s to a free name, and to a taken one', async (method) => {
      for (const name of ['one.txt', 'two.txt', 'three.txt']) plant(name)
      expect(await storage()[method]('one.txt', 'to.txt')).toBe('to.txt')
      expect(await storage()[method]('two.txt', 'to.txt')).toMatch(/^to_\w{7}\.txt$/)
      expect(await storage()[method]('three.txt', 'to.txt', { ifExists: 'overwrite' })).toBe('to.txt')
      expect(keys()).toHaveLength(method === 'copy' ? 5 : 2)
      await expect(storage()[method]('nope.txt', 'other.txt')).rejects.toMatchObject(DENIED)
    })

    it.each(['rename', 'error', 'overwrite'] as const)(
      'sign an upload with ifExists: %s',
      async (ifExists) => {
        const upload = await storage().signedUpload('a.txt', { size: 1, contentType: 'text/plain', ifExists })
        expect(upload.name).toBe('a.txt')
        const put = async () =>
          (await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: 'x' })).status
        expect(await put()).toBe(200)
        expect(await put()).toBe(ifExists === 'overwrite' ? 200 : 412)
        // What they may see they see.
        const next = await storage().signedUpload('a.txt', { size: 1, contentType: 'text/plain' })
        expect(next.name).toMatch(/^a_\w{7}\.txt$/)
      },
    )

    it('read and delete, also what is missing', async () => {
      plant('a.txt')
      expect(await (await storage().open('a.txt')).text()).toBe('precious')
      expect(await storage().exists('a.txt')).toBe(true)
      await storage().delete('a.txt')
      await storage().delete('a.txt')
      await storage().deleteMany(['a.txt', 'b.txt'])
      expect(keys()).toEqual([])
    })

    it.each([
      { status: 403, code: 'AccessDenied' },
      { status: 501, code: 'NotImplemented' },
    ])('delete many where the server answers $code to DeleteObjects', async (refusal) => {
      const usual = r2.server.behaviour.onRequest
      r2.server.behaviour.onRequest = (info) => (info.operation === 'DeleteObjects' ? refusal : usual?.(info))
      const names = ['a.txt', 'b.txt', 'c.txt']
      for (const name of names) plant(name)
      await storage().deleteMany([...names, 'missing.txt'])
      expect(keys()).toEqual([])
    })

    it('are refused where they may not delete, by two requests', async () => {
      r2.server.behaviour.onRequest = ({ operation }) =>
        operation.startsWith('Delete') ? { status: 403, code: 'AccessDenied' } : undefined
      for (const name of ['a.txt', 'b.txt', 'c.txt']) plant(name)
      const deleted = storage().deleteMany(['a.txt', 'b.txt', 'c.txt'])
      await expect(deleted).rejects.toMatchObject({ code: 'PermissionDenied' })
      expect(r2.operations()).toEqual(['DeleteObjects', 'DeleteObject'])
    })

    it.each([
      ['exists', (one: Storage) => one.exists('nope.txt')],
      ['stat', (one: Storage) => one.stat('nope.txt')],
      ['size', (one: Storage) => one.size('nope.txt')],
      ['open', (one: Storage) => one.open('nope.txt')],
      ['open of no bytes', (one: Storage) => one.open('nope.txt', { range: { offset: 0, length: 0 } })],
      ['listdir', (one: Storage) => one.listdir()],
      ['deletePrefix', (one: Storage) => one.deletePrefix('a')],
    ])('are told by %s which permission is missing', async (_, call) => {
      await expect(call(storage())).rejects.toMatchObject(DENIED)
    })

    it("are told by createOnly: 'check' why it cannot look", async () => {
      const one = storage({ createOnly: 'check' })
      const explained = { code: 'PermissionDenied', message: expect.stringMatching(/'check'.*s3:ListBucket/) }
      await expect(one.save('a.txt', 'x')).rejects.toMatchObject(explained)
      await expect(one.save('a.txt', streamOf(6 * MIB))).rejects.toMatchObject(explained)
      const upload = one.signedUpload('a.txt', { size: 1, contentType: 'text/plain' })
      await expect(upload).rejects.toMatchObject(explained)
      expect(keys()).toEqual([])
      expect(await one.save('a.txt', 'x', { ifExists: 'overwrite' })).toBe('a.txt')
    })

    it('are still told that the keys are wrong', async () => {
      const wrong = storage({ secretAccessKey: 'wrong' })
      for (const call of [() => wrong.exists('a.txt'), () => wrong.open('a.txt'), () => wrong.listdir()]) {
        await expect(call()).rejects.toMatchObject({ message: expect.stringContaining('check the secret') })
      }
    })
  },
)

const [owner, guest] = [inject('ceph'), inject('cephGuest')]
/** Object permissions only. */
const ACTIONS = ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload']

describe.runIf(owner && guest).each([{ fastPath: true }, { fastPath: false }])(
  'a user of Ceph by a policy without s3:ListBucket, fastPath $fastPath',
  ({ fastPath }) => {
    const bucket = `rights-${fastPath ? 'on' : 'off'}-${process.pid}`
    let storage: S3Storage
    beforeAll(async () => {
      if (!owner || !guest) return
      const client = new S3Client({
        endpoint: owner.endpoint,
        region: 'us-east-1',
        credentials: owner,
        forcePathStyle: true,
        requestChecksumCalculation: 'WHEN_REQUIRED',
      })
      const Policy = JSON.stringify({
        Version: '2012-10-17',
        Statement: [
          {
            Effect: 'Allow',
            Principal: { AWS: ['arn:aws:iam:::user/guest'] },
            Action: ACTIONS,
            Resource: [`arn:aws:s3:::${bucket}/*`],
          },
        ],
      })
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      await client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }))
      client.destroy()
      storage = new S3Storage({ ...guest, bucket, fastPath, partSize: 5 * MIB })
    })

    it('saves of every size, also where the name is taken', async () => {
      for (const content of [() => 'x', () => Buffer.alloc(6 * MIB), () => streamOf(6 * MIB)]) {
        expect(await storage.save('a.txt', content())).toBe('a.txt')
        const renamed = await storage.save('a.txt', content())
        expect(renamed).toMatch(/^a_\w{7}\.txt$/)
        await storage.deleteMany(['a.txt', renamed, 'missing.txt'])
      }
    })

    it('copies, moves and signs uploads', async () => {
      await storage.save('from.txt', 'content')
      expect(await storage.copy('from.txt', 'to.txt')).toBe('to.txt')
      expect(await storage.copy('from.txt', 'to.txt')).toMatch(/^to_\w{7}\.txt$/)
      expect(await storage.move('from.txt', 'moved.txt')).toBe('moved.txt')
      expect(await storage.copy('moved.txt', 'to.txt', { ifExists: 'overwrite' })).toBe('to.txt')
      const { url, headers, name } = await storage.signedUpload('up.txt', {
        size: 1,
        contentType: 'text/plain',
      })
      expect(name).toBe('up.txt')
      expect((await fetch(url, { method: 'PUT', headers, body: 'x' })).status).toBe(200)
      expect((await fetch(url, { method: 'PUT', headers, body: 'x' })).status).toBe(412)
    })

    it('is told which permission is missing, and may delete what is not there', async () => {
      await expect(storage.exists('nope.txt')).rejects.toMatchObject(DENIED)
      await expect(storage.stat('nope.txt')).rejects.toMatchObject(DENIED)
      await expect(storage.open('nope.txt')).rejects.toMatchObject(DENIED)
      await expect(storage.listdir()).rejects.toMatchObject(DENIED)
      await storage.delete('nope.txt')
    })
  },
)
