import { Readable } from 'node:stream'
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { S3Storage } from 'stowage'
import { describe, expect, it } from 'vitest'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  const PART = 5 * MIB
  const sizes = () =>
    r2.server.requests
      .filter(({ operation }) => operation === 'UploadPart')
      .sort((a, b) => Number(a.query.partNumber) - Number(b.query.partNumber))
      .map(({ headers }) => Number(headers['content-length']))

  it('sends a stream of just one part as one request', async () => {
    const storage = r2.storage({ partSize: PART })
    for (const content of [streamOf(PART), new Blob([Buffer.alloc(PART)]), Buffer.alloc(PART)]) {
      r2.server.requests.length = 0
      await storage.save('one.bin', content, { ifExists: 'overwrite' })
      expect(r2.operations()).toEqual(['PutObject'])
    }
  })

  it('sends one byte more in parts, all of the same size but for the last', async () => {
    const storage = r2.storage({ partSize: PART })
    await storage.save('two.bin', streamOf(PART + 1))
    expect(r2.operations('HeadObject')).toEqual([
      'CreateMultipartUpload',
      'UploadPart',
      'UploadPart',
      'CompleteMultipartUpload',
    ])
    expect(sizes()).toEqual([PART, 1])
    expect(await storage.size('two.bin')).toBe(PART + 1)
  })

  it.each([1, 7, 1000, 999_983, 6_000_000, 30_000_000])(
    'makes equal parts of chunks of %i bytes',
    async (chunk) => {
      const total = chunk < 100 ? PART + 10_000 : 4 * PART + 12_345
      const bytes = Buffer.from(Array.from({ length: 4099 }, (_, index) => index % 251))
      const content = Buffer.alloc(total, bytes)
      async function* chunks() {
        // One byte at a time for the last stretch only: five million chunks would prove no more.
        const fine = chunk < 100 ? total - 20_000 : 0
        if (fine > 0) yield content.subarray(0, fine)
        for (let offset = fine; offset < total; offset += chunk)
          yield content.subarray(offset, offset + chunk)
      }
      const storage = r2.storage({ partSize: PART })
      await storage.save('chunks.bin', chunks())
      expect(
        sizes()
          .slice(0, -1)
          .every((size) => size === PART),
      ).toBe(true)
      expect(Buffer.compare(await (await storage.open('chunks.bin')).read(), content)).toBe(0)
    },
  )

  it('closes the source when the name is taken', async () => {
    r2.server.bucket().plant('a.bin')
    const source = Readable.from(streamOf(12 * MIB))
    const save = r2.storage().save('a.bin', source, { ifExists: 'error' })
    await expect(save).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect(source.destroyed).toBe(true)
  })

  it('keeps type, headers and metadata of a file in parts, and reports progress up to the last byte', async () => {
    const storage = r2.storage({ partSize: PART })
    const progress: number[] = []
    await storage.save('a.png', streamOf(2 * PART), {
      metadata: { by: 'Zoë' },
      cacheControl: 'no-store',
      onProgress: ({ bytes }) => progress.push(bytes),
    })
    expect(await storage.stat('a.png')).toMatchObject({
      contentType: 'image/png',
      cacheControl: 'no-store',
      metadata: { by: 'Zoë' },
    })
    expect(progress.at(-1)).toBe(2 * PART)
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
  })
  it('aborts the uploads below its prefix that were abandoned, page by page, and no others', async () => {
    const { endpoint, accessKeyId, secretAccessKey } = r2.server
    const credentials = { accessKeyId, secretAccessKey }
    const client = new S3Client({ region: 'auto', endpoint, credentials, forcePathStyle: true })
    const begin = (Key: string) =>
      client.send(new CreateMultipartUploadCommand({ Bucket: 'test-bucket', Key }))
    await begin('application/other.bin')
    const { uploads } = r2.server.bucket()
    for (const upload of [...uploads.values()]) {
      const old = { ...upload, initiatedMs: upload.initiatedMs - 7_200_000 }
      uploads.set(old.uploadId, old)
      for (let index = 0; index < 1_005; index++) {
        const uploadId = `${old.uploadId}${index}`
        uploads.set(uploadId, { ...old, uploadId, key: `app/a b+%/${index}.bin` })
      }
    }
    await begin('app/young.bin')
    const storage = r2.storage({ prefix: 'app' })
    expect(await storage.abortStaleUploads()).toEqual({ aborted: 0 })
    expect(await storage.abortStaleUploads({ olderThan: 3_600 })).toEqual({ aborted: 1_005 })
    const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'test-bucket' }))
    expect(Uploads?.map(({ Key }) => Key)).toEqual(['app/young.bin', 'application/other.bin'])
    for (const olderThan of [0, -1, 0.5, Number.NaN, '1' as never]) {
      await expect(storage.abortStaleUploads({ olderThan })).rejects.toMatchObject({
        code: 'InvalidArgument',
      })
    }
    client.destroy()
  })

  const refuse = (operation: string) => {
    r2.server.behaviour.onRequest = (info) =>
      info.operation === operation ? { status: 403, code: 'AccessDenied' } : undefined
  }

  it.each(['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'])(
    'leaves no source open where %s is refused',
    async (operation) => {
      refuse(operation)
      const source = Readable.from(streamOf(PART + 1))
      const save = r2.storage({ partSize: PART }).save('a.bin', source)
      await expect(save).rejects.toMatchObject({ code: 'PermissionDenied' })
      expect(source.destroyed).toBe(true)
    },
  )

  it.each([{}, { maxSize: 100 * MIB }, { allowedTypes: ['text/plain'] }])(
    'ends where a part is refused while the source stalls, with the rules %o',
    async (rules) => {
      refuse('UploadPart')
      async function* stalling() {
        yield* streamOf(PART + 1)
        await new Promise(() => {})
      }
      const save = r2.storage({ partSize: PART }).save('a.txt', stalling(), rules)
      await expect(save).rejects.toMatchObject({ code: 'PermissionDenied' })
    },
  )

  describe('where it must be tried out whether a completion can be create-only', () => {
    const untried = () => {
      const { endpoint, accessKeyId, secretAccessKey } = r2.server
      const keys = { endpoint, accessKeyId, secretAccessKey, bucket: 'test-bucket' }
      return new S3Storage({ ...keys, region: 'auto', fastPath, partSize: PART })
    }
    const content = Buffer.alloc(PART + 1)
    const isProbe = ({ key }: { key: string }) => key.includes('/probe-')

    it('ends promptly by an abort, before the content is sent', async () => {
      const controller = new AbortController()
      r2.server.behaviour.onRequest = (info) => {
        if (!isProbe(info)) return undefined
        controller.abort()
        return 'hang'
      }
      const save = untried().save('a.bin', content, { signal: controller.signal })
      await expect(save).rejects.toMatchObject({ code: 'Aborted' })
      expect(r2.server.requests.filter(({ operation }) => operation === 'UploadPart')).toEqual([])
    })

    it('tries a request again by itself, and leaves nothing', async () => {
      let failures = 2
      r2.server.behaviour.onRequest = (info) =>
        isProbe(info) && info.operation === 'UploadPart' && failures-- > 0 ? { status: 503 } : undefined
      await untried().save('a.bin', content)
      await expect.poll(() => r2.server.openUploads).toBe(0)
      expect(r2.server.bucket().keys()).toEqual(['a.bin'])
    })

    it('does without where the keys are for some names only', async () => {
      r2.server.behaviour.onRequest = (info) =>
        isProbe(info) ? { status: 403, code: 'AccessDenied' } : undefined
      const storage = untried()
      expect(await storage.save('a.bin', content, { ifExists: 'error' })).toBe('a.bin')
      await expect(storage.save('a.bin', content, { ifExists: 'error' })).rejects.toMatchObject({
        code: 'AlreadyExists',
      })
    })
  })

  it('refuses what claims to be larger than any object may be, before it takes memory for its parts', async () => {
    const content = Object.defineProperty(new Blob(['x']), 'size', { value: 2 ** 50 })
    await expect(r2.storage().save('huge.bin', content)).rejects.toMatchObject({ code: 'InvalidArgument' })
    expect(r2.operations()).toEqual([])
  })
})
