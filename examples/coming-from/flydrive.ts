/** The code of a flydrive disk, written for stowage. */
import { randomUUID } from 'node:crypto'
import { defaultStorage } from 'stowage'

export async function publish(bytes: Uint8Array): Promise<[name: string, url: string]> {
  // #region put
  const name = await defaultStorage.save('reports/2026.pdf', bytes, { contentType: 'application/pdf' })
  const url = await defaultStorage.signedUrl(name, { expiresIn: 300 }) // on disk, too
  // #endregion
  return [name, url]
}

export async function list(): Promise<string[]> {
  const names: string[] = []
  // #region list
  for await (const { name, size } of defaultStorage.list('reports')) {
    console.log(name, size) // all pages, in order
    names.push(name)
  }
  // #endregion
  return names
}

export async function direct(size: number): Promise<string> {
  // #region direct
  const { method, url, headers, name } = await defaultStorage.signedUpload(`photos/${randomUUID()}.png`, {
    size, // signed: the bucket refuses any other size and type
    contentType: 'image/png',
    expiresIn: 300,
  })
  // #endregion
  return [method, url, Object.keys(headers).length, name].join(' ')
}
