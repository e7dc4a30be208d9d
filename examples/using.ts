/** Everyday work with a storage. The test runs it on the disk and against a server that is as strict as R2. */
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import {
  aiSpeechPath,
  type Content,
  chatUploadPath,
  chatUploadRules,
  defaultStorage,
  FileExistsError,
  FileNotFoundError,
  type StoredFile,
  UploadRejectedError,
  userAvatarPath,
  voiceNotePath,
} from 'stowage'

export async function saveAvatar(userId: number, filename: string, picture: Content): Promise<string> {
  // #region overwrite
  const name = await defaultStorage.save(userAvatarPath(userId, filename), picture, {
    ifExists: 'overwrite',
    cacheControl: 'max-age=300',
    metadata: { 'uploaded-by': `user ${userId}` },
  })
  // #endregion
  return name
}

export async function saveStream(path: string): Promise<string> {
  // #region stream
  const name = await defaultStorage.save('exports/2026/all.csv', createReadStream(path), {
    contentType: 'text/csv; charset=utf-8',
    onProgress: ({ bytes }) => console.log(`${bytes} bytes on their way`),
    signal: AbortSignal.timeout(10 * 60 * 1000),
  })
  // #endregion
  return name
}

export async function createOnce(): Promise<boolean> {
  // #region create-only
  try {
    await defaultStorage.save('invoices/2026-0001.pdf', 'the first one wins', { ifExists: 'error' })
  } catch (error) {
    if (!(error instanceof FileExistsError)) throw error
    return false // another writer was first; its invoice is untouched
  }
  // #endregion
  return true
}

export async function saveChatUpload(filename: string, upload: Content): Promise<string> {
  // #region chat-upload
  try {
    return await defaultStorage.save(chatUploadPath(filename), upload, chatUploadRules)
  } catch (error) {
    if (!(error instanceof UploadRejectedError)) throw error
    throw new Error(
      error.reason === 'size' ? 'This file is too large.' : `${error.found} is not allowed here.`,
    )
  }
  // #endregion
}

export async function saveVoiceNote(roomId: number, filename: string, recording: Content): Promise<string> {
  // #region voice-note
  const name = await defaultStorage.save(voiceNotePath(roomId, filename), recording, {
    maxSize: 10 * 1024 * 1024,
    allowedTypes: ['audio/*'],
  })
  // #endregion
  return name
}

export async function playSpeech(
  [roomId, messageId]: [number, number],
  speech: Content,
  response: NodeJS.WritableStream,
): Promise<string> {
  // #region tee
  const { stream, saved } = defaultStorage.tee(aiSpeechPath(roomId, messageId), speech)
  stream.pipe(response)
  const name = await saved
  // #endregion
  return name
}

export async function readAll(name: string, target: string): Promise<string> {
  // #region reading
  const info = await defaultStorage.stat(name)
  console.log(info.size, info.contentType, info.lastModified, info.etag, info.metadata)

  const text = await (await defaultStorage.open(name)).text()
  await writeFile(target, (await defaultStorage.open(name)).stream())
  // #endregion
  return text
}

export async function sendTo(name: string, response: NodeJS.WritableStream): Promise<void> {
  // #region piping
  const file = await defaultStorage.open(name)
  await pipeline(file.stream(), response)
  // #endregion
}

export async function openOrNothing(name: string): Promise<StoredFile | undefined> {
  // #region missing
  const file = await defaultStorage.open(name).catch((error: unknown) => {
    if (error instanceof FileNotFoundError) return undefined
    throw error
  })
  // #endregion
  return file
}

export async function readParts(name: string): Promise<[Buffer, Buffer]> {
  // #region ranges
  const head = await (await defaultStorage.open(name, { range: { offset: 0, length: 4 } })).bytes()
  const tail = await (await defaultStorage.open(name, { range: { offset: -4 } })).bytes()
  // #endregion
  return [head, tail]
}

export async function listRoom(): Promise<number> {
  // #region listing
  let total = 0
  for await (const { name, size } of defaultStorage.list('documents/42')) {
    console.log(name, size)
    total += size
  }
  const { directories, files } = await defaultStorage.listdir('documents')
  console.log(directories, files) // [ '42', '43' ] [ 'readme.txt' ]
  // #endregion
  return total
}

export async function copyAndMove(): Promise<string> {
  // #region copying
  const copy = await defaultStorage.copy('documents/42/plan.txt', 'documents/43/plan.txt')
  const moved = await defaultStorage.move(copy, 'archive/plan.txt', { ifExists: 'error' })
  // #endregion
  return moved
}

export async function deleteRoom(): Promise<number> {
  // #region deleting
  await defaultStorage.delete('archive/plan.txt')
  await defaultStorage.deleteMany(['invoices/2026-0001.pdf', 'exports/2026/all.csv'])

  const { deleted: found } = await defaultStorage.deletePrefix('documents/42', { dryRun: true })
  const { deleted } = await defaultStorage.deletePrefix('documents/42')
  // #endregion
  return found === deleted ? deleted : -1
}
