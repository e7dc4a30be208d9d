import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import busboy from 'busboy'
import { chatUploadPath, chatUploadRules, defaultStorage } from 'stowage'

/** Stores the files of a form. With `receiveUpload` it is shorter, and all or nothing. */
export async function receive(request: IncomingMessage): Promise<string[]> {
  const saves: Promise<string>[] = []
  const form = busboy({ headers: request.headers, limits: { files: 5 } })
  form.on('file', (_field, file, { filename }) => {
    const store = async () => defaultStorage.save(chatUploadPath(filename ?? ''), file, chatUploadRules)
    const save = store()
    save.catch(() => file.resume()) // the error is thrown below, when the form is whole
    saves.push(save)
  })
  await pipeline(request, form)
  return Promise.all(saves)
}
