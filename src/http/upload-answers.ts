import { isStorageError } from '../errors.js'
import { httpError, problemResponse } from './problem.js'
import { Refusal } from './refusal.js'
import type { UploadRoute } from './upload-routes.js'

/** Sentences that say more than those of other errors. */
const MESSAGES: Readonly<Record<string, string>> = {
  NotFound: 'There is no such upload. It may have expired: please begin again.',
  BadRequest: 'The parts do not make up a file: all but the last must have one size, 5 MiB or more.',
}

/** An answer that no cache keeps. */
export function jsonResponse(value: unknown): Response {
  return Response.json(value, {
    headers: { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' },
  })
}

/** The answer for a failure. Clients of Companion show its `message`, and Uppy the status line. */
export function uploadProblem(error: unknown, action: UploadRoute['action'] | undefined): Response {
  const { status, code, message, headers } = explain(error, action)
  return problemResponse(status, code, message, headers, { message })
}

function explain(error: unknown, action: UploadRoute['action'] | undefined) {
  if (error instanceof Refusal) {
    const { status, message } = error
    const code = status === 404 ? 'NotFound' : status === 403 ? 'PermissionDenied' : 'BadRequest'
    return { status, code, message, headers: {} }
  }
  if (action === 'store' && !isStorageError(error)) {
    // The client's connection broke.
    return { status: 400, code: 'BadRequest', message: 'The upload was cut.', headers: {} }
  }
  const found = httpError(error)
  if (action === 'create' && found.code === 'InvalidArgument') {
    // Most of it comes from the client.
    const message = 'The metadata of this file cannot be stored.'
    return { status: 400, code: 'BadRequest', message, headers: {} }
  }
  return { ...found, message: MESSAGES[found.code] ?? found.message }
}
