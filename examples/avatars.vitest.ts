import { readFile } from 'node:fs/promises'
import { defaultStorage, MemoryStorage, setDefaultStorage } from 'stowage'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { setAvatar } from './avatars.js'

let restore: () => void
beforeEach(() => {
  restore = setDefaultStorage(new MemoryStorage()) // a new, empty one for each test
})
afterEach(() => restore())

test('keeps one avatar per user', async () => {
  const picture = await readFile(new URL('files/photo.png', import.meta.url))
  await setAvatar(7, picture)
  expect(await setAvatar(7, picture)).toBe('/uploads/user_avatars/7.png')
  expect((await defaultStorage.listdir('user_avatars')).files).toEqual(['7.png'])
})

test('refuses a file that is not a picture', async () => {
  await expect(setAvatar(7, '<script>')).rejects.toMatchObject({ code: 'Rejected', status: 415 })
  expect(await defaultStorage.exists('user_avatars/7.png')).toBe(false)
})
