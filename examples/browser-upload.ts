import { chatUploadPath, chatUploadRules, defaultStorage, type SignedUpload } from 'stowage'

// #region server
/** On the server. The browser sends the `filename`, `size` and `type` of the file that the user has chosen. */
export async function prepareUpload(filename: string, size: number, type: string): Promise<SignedUpload> {
  // A recorder sends `audio/webm;codecs=opus`.
  const essence = type.split(';')[0] ?? ''
  if (size > chatUploadRules.maxSize || !chatUploadRules.allowedTypes.includes(essence)) {
    throw new Error('This file is not allowed here.')
  }
  return defaultStorage.signedUpload(chatUploadPath(filename), { size, contentType: type, expiresIn: 600 })
}
// #endregion

// #region browser
/** In the browser: sends the file straight to the bucket. */
export async function upload(file: Blob, { method, url, headers, name }: SignedUpload): Promise<string> {
  const response = await fetch(url, { method, headers, body: file })
  if (!response.ok) throw new Error(`The upload failed: HTTP ${response.status}`)
  return name
}
// #endregion

// #region check
/** On the server, when the browser has finished. Only the claimed type was signed; this checks the bytes. */
export async function acceptUpload(name: string): Promise<string> {
  if (!name.startsWith('chat_uploads/')) throw new Error('This is not an upload.') // a refused file is deleted
  return defaultStorage.accept(name, name.replace('chat_uploads/', 'accepted/'), chatUploadRules)
}
// #endregion
