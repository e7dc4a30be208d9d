import { Disk } from 'flydrive'
import { FSDriver } from 'flydrive/drivers/fs'
import { no } from '../outcome.mjs'

export const packages = ['flydrive', '@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner']
/** `getSignedUrl` throws without a function of the application. */
export const signedOnDisk = no('only by a `urlBuilder` of your own')
export const createOnly = { s3: 'IfNoneMatch' }

export function disk(root) {
  return ofDisk(new Disk(new FSDriver({ location: root, visibility: 'private' })))
}

export async function s3(server, { timeout } = {}) {
  const { S3Driver } = await import('flydrive/drivers/s3')
  const { newClient } = await import('./sdk-client.mjs')
  const { bucket } = server.options
  const client = newClient(server, timeout)
  const drive = new Disk(new S3Driver({ client, bucket, visibility: 'private', supportsACL: false }))
  return {
    ...ofDisk(drive),
    // Further options go to PutObjectCommand.
    saveNew: (name, content) => drive.put(name, content, { IfNoneMatch: '*' }),
  }
}

function ofDisk(drive) {
  return {
    save: (name, content, { contentType, metadata: Metadata } = {}) =>
      Buffer.isBuffer(content)
        ? drive.put(name, content, { contentType, Metadata })
        : drive.putStream(name, content, { contentType, Metadata }),
    saveNew: (name, content) => drive.put(name, content),
    read: async (name) => Buffer.from(await drive.getBytes(name)),
    stat: (name) => drive.getMetaData(name),
    async *list() {
      for (let paginationToken; ; ) {
        const options = { recursive: true, ...(paginationToken && { paginationToken }) }
        const page = await drive.listAll('/', options)
        for (const { key } of page.objects) yield key
        paginationToken = page.paginationToken
        if (!paginationToken) return
      }
    },
    delete: (name) => drive.delete(name),
    signedUrl: (name) => drive.getSignedUrl(name),
    async signedUpload(name, { size, contentType }) {
      const url = await drive.getSignedUploadUrl(name, { contentType, ContentLength: size })
      return { method: 'PUT', url, headers: { 'content-type': contentType } }
    },
  }
}
