import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { afterEach, beforeEach, it } from 'node:test'
import { defaultStorage, MemoryStorage, setDefaultStorage } from 'stowage'
import { setAvatar } from './avatars.js'

let restore: () => void
beforeEach(() => {
  restore = setDefaultStorage(new MemoryStorage())
})
afterEach(() => restore())

it('keeps one avatar per user', async () => {
  const picture = await readFile(new URL('files/photo.png', import.meta.url))
  await setAvatar(7, picture)
  assert.equal(await setAvatar(7, picture), '/uploads/user_avatars/7.png')
  assert.deepEqual((await defaultStorage.listdir('user_avatars')).files, ['7.png'])
})

it('refuses a file that is not a picture', async () => {
  await assert.rejects(setAvatar(7, '<script>'), { code: 'Rejected', status: 415 })
  assert.equal(await defaultStorage.exists('user_avatars/7.png'), false)
})
