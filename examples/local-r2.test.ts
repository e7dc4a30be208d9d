import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, it } from 'node:test'
import { createDefaultStorage, defaultStorage, setDefaultStorage } from 'stowage'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { setAvatar } from './avatars.js'

let server: LocalR2
before(async () => {
  server = await startLocalR2()
  setDefaultStorage(createDefaultStorage(server.env))
})
after(() => server.close())

it('keeps avatars in R2', async () => {
  await setAvatar(7, await readFile(new URL('files/photo.png', import.meta.url)))
  const answer = await fetch(await defaultStorage.signedUrl('user_avatars/7.png'))
  assert.equal(answer.headers.get('content-type'), 'image/png')
})
