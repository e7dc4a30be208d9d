import { FileStorage } from '@flystorage/file-storage'
import { LocalStorageAdapter } from '@flystorage/local-fs'
import { no } from '../outcome.mjs'

export const packages = [
  '@flystorage/file-storage',
  '@flystorage/local-fs',
  '@flystorage/aws-s3',
  '@aws-sdk/client-s3',
]
/** `temporaryUrl` throws without a generator of the application. */
export const signedOnDisk = no('only by a generator of your own')
export const createOnly = { s3: 'IfNoneMatch' }

const anHour = () => Date.now() + 3_600_000

export function disk(root) {
  return ofStorage(new FileStorage(new LocalStorageAdapter(root)))
}

export async function s3(server, { timeout } = {}) {
  const { AwsS3StorageAdapter } = await import('@flystorage/aws-s3')
  const { newClient } = await import('./sdk-client.mjs')
  const { bucket } = server.options
  const adapter = new AwsS3StorageAdapter(newClient(server), { bucket })
  const storage = new FileStorage(adapter, undefined, timeout ? { timeout: { timeout } } : {})
  return {
    ...ofStorage(storage),
    saveNew: (name, content) => storage.write(name, content, { IfNoneMatch: '*' }),
  }
}

function ofStorage(storage) {
  return {
    save: (name, content, { contentType: mimeType, metadata: Metadata } = {}) =>
      storage.write(name, content, { ...(mimeType && { mimeType }), ...(Metadata && { Metadata }) }),
    saveNew: (name, content) => storage.write(name, content),
    read: (name) => storage.readToBuffer(name),
    stat: async (name) => ({ contentType: await storage.mimeType(name) }),
    async *list() {
      for await (const { isFile, path } of storage.list('', { deep: true })) if (isFile) yield path
    },
    delete: (name) => storage.deleteFile(name),
    signedUrl: (name) => storage.temporaryUrl(name, { expiresAt: anHour() }),
    signedUpload: (name, { contentType }) =>
      storage.prepareUpload(name, { expiresAt: anHour(), contentType }),
  }
}
