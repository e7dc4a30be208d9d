import * as sdk from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { newClient } from './sdk-client.mjs'

export const packages = ['@aws-sdk/client-s3', '@aws-sdk/lib-storage', '@aws-sdk/s3-request-presigner']
export const createOnly = { s3: 'IfNoneMatch' }

export function s3(server, { timeout } = {}) {
  const client = newClient(server, timeout)
  const { bucket: Bucket } = server.options
  const put = (Key, Body, { contentType: ContentType, metadata: Metadata, IfNoneMatch } = {}) => {
    const params = { Bucket, Key, Body, ContentType, Metadata, IfNoneMatch }
    return Buffer.isBuffer(Body)
      ? client.send(new sdk.PutObjectCommand(params))
      : new Upload({ client, params }).done()
  }
  return {
    save: put,
    saveNew: (name, content) => put(name, content, { IfNoneMatch: '*' }),
    read: async (Key) =>
      Buffer.from(
        await (await client.send(new sdk.GetObjectCommand({ Bucket, Key }))).Body.transformToByteArray(),
      ),
    async stat(Key) {
      const { ContentType, Metadata } = await client.send(new sdk.HeadObjectCommand({ Bucket, Key }))
      return { contentType: ContentType, metadata: Metadata }
    },
    async *list() {
      for await (const { Contents = [] } of sdk.paginateListObjectsV2({ client }, { Bucket })) {
        for (const { Key } of Contents) yield Key
      }
    },
    delete: (Key) => client.send(new sdk.DeleteObjectCommand({ Bucket, Key })),
    signedUrl: (Key) => getSignedUrl(client, new sdk.GetObjectCommand({ Bucket, Key })),
    async signedUpload(Key, { size, contentType }) {
      const put = new sdk.PutObjectCommand({ Bucket, Key, ContentLength: size, ContentType: contentType })
      const url = await getSignedUrl(client, put, { signableHeaders: new Set(['content-type']) })
      return { method: 'PUT', url, headers: { 'content-type': contentType } }
    },
  }
}
