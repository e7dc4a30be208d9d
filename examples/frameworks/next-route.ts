/** `app/rooms/[room]/documents/route.ts`, and `GET` alone in `app/rooms/[room]/documents/[filename]/route.ts`. */
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { errorResponse, receiveUpload, serveFile } from 'stowage/http'
import { mayEnter } from './may-enter.js'

type Context = { params: Promise<{ room: string; filename: string }> }

export async function POST(request: Request, { params }: Context): Promise<Response> {
  const { room } = await params
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  try {
    const name = (file: { filename: string }) => documentPath(room, file.filename)
    const { files } = await receiveUpload(defaultStorage, request, { ...chatUploadRules, name })
    const url = await defaultStorage.signedUrl(files[0].name)
    return Response.json({ name: files[0].name, url }, { status: 201 })
  } catch (error) {
    return errorResponse(error)
  }
}

export async function GET(request: Request, { params }: Context): Promise<Response> {
  const { room, filename } = await params
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  return serveFile(defaultStorage, documentPath(room, filename), request)
}
