/** `app/uploads/[...path]/route.ts`: answers signed addresses. On R2 the bucket does, and this file is not needed. */
import { defaultStorage } from 'stowage'
import { createFileHandler } from 'stowage/http'

const signedAddresses = createFileHandler(defaultStorage)

export async function GET(request: Request): Promise<Response> {
  return (await signedAddresses(request)) ?? new Response(null, { status: 404 })
}

export { GET as HEAD, GET as PUT }
