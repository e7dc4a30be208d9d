import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { chatUploadPath, chatUploadRules, defaultStorage, isStorageError } from 'stowage'

/** `PUT /photo.png` with the file as the body. Answers with the stored name and its address. */
export async function handleUpload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const filename = decodeURIComponent((request.url ?? '/').slice(1))
    // Keeps the request open after a refusal, so that the answer can be sent.
    const body = request.iterator({ destroyOnReturn: false })
    const name = await defaultStorage.save(chatUploadPath(filename), body, chatUploadRules)
    answer(response, 201, { name, url: defaultStorage.url(name) })
  } catch (error) {
    request.resume()
    if (error instanceof URIError) {
      answer(response, 400, { error: 'InvalidName', message: 'The name in the address is not well-formed.' })
    } else if (isStorageError(error) && (error.code === 'Rejected' || error.code === 'InvalidName')) {
      answer(response, error.status, { error: error.code, message: error.message })
    } else {
      // Not the user's fault, so no details: 503 try again later, 507 storage full, else 500.
      console.error(error)
      const status = isStorageError(error) && error.status > 500 ? error.status : 500
      answer(response, status, { error: 'NotStored', message: 'The file could not be stored.' })
    }
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const server = createServer(handleUpload)
