/** `app/rooms/[room]/documents/route.ts`, and with `GET` in `[filename]/route.ts`. */
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { errorResponse, receiveUpload, serveFile } from 'stowage/http'
import { mayEnter } from './may-enter.js'

type Context<Params> = { params: Promise<Params> }

export async function POST(request: Request, { params }: Context<{ room: string }>): Promise<Response> {
  const { room } = await params
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  try {
    const form = await receiveUpload(defaultStorage, request, {
      ...chatUploadRules,
      name: ({ filename }) => documentPath(room, filename),
    })
    const name = form.files[0]?.name ?? ''
    return Response.json({ name, url: await defaultStorage.signedUrl(name) }, { status: 201 })
  } catch (error) {
    return errorResponse(error)
  }
}

export async function GET(
  request: Request,
  { params }: Context<{ room: string; filename: string }>,
): Promise<Response> {
  const { room, filename } = await params
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  return serveFile(defaultStorage, documentPath(room, filename), request)
}
