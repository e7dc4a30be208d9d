import { defaultStorage, R2Storage, StorageError, setDefaultStorage } from 'stowage'
import { expect, test, vi } from 'vitest'
import { setAvatar } from './avatars.js'

const picture = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex') // as every PNG begins

test('the disk is full', async () => {
  const full = new StorageError('Full', { operation: 'save', reason: 'the disk is full' })
  const spy = vi.spyOn(defaultStorage, 'save').mockRejectedValue(full)
  await expect(setAvatar(7, picture)).rejects.toMatchObject({ status: 507 })
  spy.mockRestore()
})

test('R2 is away', async () => {
  const endpoint = 'http://127.0.0.1:9' // nobody listens there
  const keys = { accessKeyId: 'id', secretAccessKey: 'secret' }
  const restore = setDefaultStorage(new R2Storage({ endpoint, bucket: 'files', ...keys, maxAttempts: 1 }))
  await expect(setAvatar(7, picture)).rejects.toMatchObject({ status: 503, retryable: true })
  restore()
})
