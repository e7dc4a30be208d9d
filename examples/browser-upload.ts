import { chatUploadPath, chatUploadRules, defaultStorage, type SignedUpload } from 'stowage'

// #region server
/** On the server: `filename`, `size` and `type` are what the browser says of the file it wants to send. */
export async function prepareUpload(filename: string, size: number, type: string): Promise<SignedUpload> {
  // A recorder says `audio/webm;codecs=opus`.
  const essence = type.split(';')[0] ?? ''
  if (size > chatUploadRules.maxSize || !chatUploadRules.allowedTypes.includes(essence)) {
    throw new Error('This file is not allowed here.')
  }
  return defaultStorage.signedUpload(chatUploadPath(filename), { size, contentType: type, expiresIn: 600 })
}
// #endregion

// #region browser
/** In the browser: sends the file straight to the bucket, past your server. */
export async function upload(file: Blob, { method, url, headers, name }: SignedUpload): Promise<string> {
  const response = await fetch(url, { method, headers, body: file })
  if (!response.ok) throw new Error(`The upload failed: HTTP ${response.status}`)
  return name
}
// #endregion

// #region check
/** On the server, when the browser says that it is done: what was signed is the claim, the bytes are looked at here. */
export async function acceptUpload(name: string): Promise<string> {
  const accepted = await defaultStorage.save(
    name.replace('chat_uploads/', 'accepted/'),
    await defaultStorage.open(name),
    {
      ...chatUploadRules,
      ifExists: 'error',
    },
  )
  await defaultStorage.delete(name)
  return accepted
}
// #endregion
