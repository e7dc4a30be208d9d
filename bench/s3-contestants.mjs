// The contestants of the S3 cases, each used as its documentation shows. A peer without a call for a case is left out.
// Each contestant loads only its own modules.
import { createFloor } from './floor.mjs'
import { stowage } from './stowage.mjs'

/** Not real credentials: the benchmark's server checks none. */
const KEYS = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
const BUCKET = 'bench'
const REGION = 'us-east-1'

/** Factories by name: the floor first, then stowage, then the peers. */
export const S3_CONTESTANTS = {
  floor: (endpoint) => createFloor({ endpoint, bucket: BUCKET, region: REGION, ...KEYS }),
  stowage: (endpoint) => ofStowage(endpoint, {}),
  'stowage fastPath:false': (endpoint) => ofStowage(endpoint, { fastPath: false }),
  '@aws-sdk': async (endpoint) => ofAwsSdk(await newClient(endpoint)),
  flydrive: async (endpoint) => ofFlydrive(await newClient(endpoint)),
  'files-sdk': ofFilesSdk,
  flystorage: async (endpoint) => ofFlystorage(await newClient(endpoint)),
  s3mini: ofS3mini,
  minio: ofMinio,
}

async function newClient(endpoint) {
  const { S3Client } = await import('@aws-sdk/client-s3')
  return new S3Client({
    endpoint,
    region: REGION,
    credentials: KEYS,
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

async function ofStowage(endpoint, options) {
  const { R2Storage } = await stowage()
  const storage = new R2Storage({ bucket: BUCKET, endpoint, region: REGION, ...KEYS, ...options })
  return {
    save: (key, bytes) => storage.save(key, bytes, { ifExists: 'overwrite' }),
    saveNew: (key, bytes) => storage.save(key, bytes),
    open: async (key) => (await storage.open(key)).bytes(),
    exists: (key) => storage.exists(key),
    delete: (key) => storage.delete(key),
    signedUrl: (key) => storage.signedUrl(key),
    upload: (key, stream) => storage.save(key, stream),
    download: async (key) => (await storage.open(key)).stream(),
    list: (prefix) => storage.list(prefix),
    deleteMany: (keys) => storage.deleteMany(keys),
  }
}

async function ofAwsSdk(client) {
  const sdk = await import('@aws-sdk/client-s3')
  const { Upload } = await import('@aws-sdk/lib-storage')
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
  const object = (Key) => ({ Bucket: BUCKET, Key })
  return {
    save: (key, Body) => client.send(new sdk.PutObjectCommand({ ...object(key), Body })),
    saveNew: (key, Body) => client.send(new sdk.PutObjectCommand({ ...object(key), Body, IfNoneMatch: '*' })),
    open: async (key) =>
      (await client.send(new sdk.GetObjectCommand(object(key)))).Body.transformToByteArray(),
    exists: async (key) => Boolean(await client.send(new sdk.HeadObjectCommand(object(key)))),
    delete: (key) => client.send(new sdk.DeleteObjectCommand(object(key))),
    signedUrl: (key) => getSignedUrl(client, new sdk.GetObjectCommand(object(key)), { expiresIn: 3600 }),
    upload: (key, Body) => new Upload({ client, params: { ...object(key), Body } }).done(),
    download: async (key) => (await client.send(new sdk.GetObjectCommand(object(key)))).Body,
    async *list(prefix) {
      for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: BUCKET, Prefix: prefix })) {
        yield* page.Contents ?? []
      }
    },
    async deleteMany(keys) {
      for (let start = 0; start < keys.length; start += 1000) {
        const Objects = keys.slice(start, start + 1000).map((Key) => ({ Key }))
        await client.send(new sdk.DeleteObjectsCommand({ Bucket: BUCKET, Delete: { Objects } }))
      }
    },
  }
}

async function ofFlydrive(client) {
  const { Disk } = await import('flydrive')
  const { S3Driver } = await import('flydrive/drivers/s3')
  const disk = new Disk(new S3Driver({ client, bucket: BUCKET, visibility: 'private', supportsACL: false }))
  return {
    save: (key, bytes) => disk.put(key, bytes),
    open: (key) => disk.getBytes(key),
    exists: (key) => disk.exists(key),
    delete: (key) => disk.delete(key),
    signedUrl: (key) => disk.getSignedUrl(key),
    upload: (key, stream) => disk.putStream(key, stream),
    download: (key) => disk.getStream(key),
    async *list(prefix) {
      for (let paginationToken; ; ) {
        const page = await disk.listAll(prefix, {
          recursive: true,
          ...(paginationToken && { paginationToken }),
        })
        yield* page.objects
        paginationToken = page.paginationToken
        if (!paginationToken) return
      }
    },
  }
}

async function ofFilesSdk(endpoint) {
  const { Files } = await import('files-sdk')
  const { s3 } = await import('files-sdk/s3')
  const { Readable } = await import('node:stream')
  const files = new Files({
    adapter: s3({
      bucket: BUCKET,
      region: REGION,
      endpoint,
      forcePathStyle: true,
      conditional: true,
      credentials: KEYS,
    }),
  })
  return {
    save: (key, bytes) => files.upload(key, bytes),
    saveNew: (key, bytes) => files.upload(key, bytes, { condition: { type: 'create' } }),
    open: async (key) => (await files.download(key)).arrayBuffer(),
    exists: (key) => files.exists(key),
    delete: (key) => files.delete(key),
    signedUrl: (key) => files.url(key, { expiresIn: 3600 }),
    upload: (key, stream) => files.upload(key, Readable.toWeb(stream), { multipart: true }),
    download: async (key) => (await files.download(key, { as: 'stream' })).stream(),
    list: (prefix) => files.listAll({ prefix }),
    deleteMany: (keys) => files.delete(keys),
  }
}

async function ofFlystorage(client) {
  const { FileStorage } = await import('@flystorage/file-storage')
  const { AwsS3StorageAdapter } = await import('@flystorage/aws-s3')
  const storage = new FileStorage(new AwsS3StorageAdapter(client, { bucket: BUCKET, region: REGION }))
  return {
    save: (key, bytes) => storage.write(key, bytes),
    open: (key) => storage.readToUint8Array(key),
    exists: (key) => storage.fileExists(key),
    delete: (key) => storage.deleteFile(key),
    signedUrl: (key) => storage.temporaryUrl(key, { expiresAt: Date.now() + 3_600_000 }),
    upload: (key, stream) => storage.write(key, stream),
    download: (key) => storage.read(key),
    list: (prefix) => storage.list(prefix, { deep: true }),
  }
}

async function ofS3mini(endpoint) {
  const { S3mini } = await import('s3mini')
  const { Readable } = await import('node:stream')
  const client = new S3mini({ ...KEYS, endpoint: `${endpoint}/${BUCKET}`, region: REGION })
  return {
    save: async (key, bytes) => (await client.putObject(key, bytes)).arrayBuffer(),
    open: (key) => client.getObjectArrayBuffer(key),
    exists: (key) => client.objectExists(key),
    delete: (key) => client.deleteObject(key),
    signedUrl: (key) => client.getPresignedUrl('GET', key, 3600),
    upload: (key, stream) => client.putAnyObject(key, Readable.toWeb(stream)),
    download: async (key) => (await client.getObjectResponse(key)).body,
    async *list(prefix) {
      for (let token; ; ) {
        const page = await client.listObjectsPaged('/', prefix, 1000, token)
        yield* page?.objects ?? []
        token = page?.nextContinuationToken
        if (!token) return
      }
    },
    deleteMany: (keys) => client.deleteObjects(keys),
  }
}

async function ofMinio(endpoint) {
  const { Client } = await import('minio')
  const { hostname, port } = new URL(endpoint)
  const client = new Client({
    endPoint: hostname,
    port: Number(port),
    useSSL: false,
    region: REGION,
    accessKey: KEYS.accessKeyId,
    secretKey: KEYS.secretAccessKey,
  })
  return {
    save: (key, bytes) => client.putObject(BUCKET, key, bytes),
    async open(key) {
      const chunks = []
      for await (const chunk of await client.getObject(BUCKET, key)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
    exists: async (key) => Boolean(await client.statObject(BUCKET, key)),
    delete: (key) => client.removeObject(BUCKET, key),
    signedUrl: (key) => client.presignedGetObject(BUCKET, key, 3600),
    upload: (key, stream) => client.putObject(BUCKET, key, stream),
    download: (key) => client.getObject(BUCKET, key),
    list: (prefix) => client.listObjectsV2(BUCKET, prefix, true),
    deleteMany: (keys) => client.removeObjects(BUCKET, keys),
  }
}
