import { defaultStorage, isStorageError } from 'stowage'

try {
  const name = await defaultStorage.save('check/hello.txt', 'It works.')
  console.log('stored', name, '- public address:', defaultStorage.url(name))
  const response = await fetch(await defaultStorage.signedUrl(name, { expiresIn: 60 }))
  console.log('private address:', response.status, await response.text())
  await defaultStorage.delete(name)
} catch (error) {
  if (!isStorageError(error)) throw error
  console.error(error.code, error.message)
  process.exitCode = 1
}
