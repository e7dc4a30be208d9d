import type { IncomingMessage, ServerResponse } from 'node:http'
import { nextTurn, sleep } from '../../timers.js'
import type { Answer, Behaviour, Faults, Verdict } from './behaviour.js'
import { receiveBody } from './body.js'
import type { Call, Reply } from './call.js'
import { ClientGone, S3Error } from './errors.js'
import type { Bucket } from './object-store.js'
import { answerReply, compressed, corsHeaders, errorReply, preflightReply, send } from './reply.js'
import { S3Request } from './request.js'
import { checkedRoute, operationOf } from './routes.js'
import { corsByRules } from './settings.js'
import { type Credentials, verifySignature } from './sigv4.js'

/** One line of the request log. */
export interface LoggedRequest {
  readonly method: string
  /** As sent, still percent-encoded. */
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
  /** S3's name for it, `''` when the request could not be read. */
  operation: string
  bucket: string
  key: string
  /** 0 until answered, and for good when the connection was closed instead. */
  status: number
}

export interface World {
  readonly buckets: ReadonlyMap<string, Bucket>
  readonly credentials: Credentials
  readonly behaviour: Behaviour
  log(entry: LoggedRequest): void
}

/** The operation was not run to an answer: what is left to do with the connection. */
class Unanswered extends Error {
  constructor(readonly how: 'reset' | 'hang') {
    super(how)
  }
}

export async function answer(
  world: World,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const request = new S3Request(incoming, world.behaviour.basePath)
  const entry: LoggedRequest = {
    method: request.method,
    path: request.rawPath,
    query: {},
    headers: Object.fromEntries(request.headers),
    operation: '',
    bucket: '',
    key: '',
    status: 0,
  }
  world.log(entry)
  let faults: Faults = {}
  try {
    const reply = await replyTo(world, request, response, entry, (told) => {
      faults = told
    })
    if (response.destroyed) throw new ClientGone()
    entry.status = reply.status
    prepare(response, request, world)
    await send(response, request, compressed(reply, request, world.behaviour), faults)
  } catch (error) {
    if (error instanceof Unanswered && error.how === 'hang') return
    const expected = error instanceof Unanswered || error instanceof ClientGone || response.destroyed
    if (!expected) process.emitWarning(`The local R2 could not answer: ${error}`)
    response.destroy()
  }
}

type Tell = (faults: Faults) => void

async function replyTo(
  world: World,
  request: S3Request,
  response: ServerResponse,
  entry: LoggedRequest,
  tell: Tell,
) {
  try {
    const reply = await operate(world, request, response, entry, tell)
    return reply
  } catch (error) {
    if (error instanceof ClientGone || error instanceof Unanswered) throw error
    if (error instanceof S3Error) return errorReply(error)
    process.emitWarning(`The local R2 failed: ${error}`)
    return errorReply(new S3Error('InternalError', String(error)))
  }
}

async function operate(
  world: World,
  request: S3Request,
  response: ServerResponse,
  entry: LoggedRequest,
  tell: Tell,
): Promise<Reply> {
  const { behaviour } = world
  if (request.method === 'OPTIONS') {
    if (behaviour.cors) return preflightReply(request)
    const bucket = world.buckets.get(request.target.bucket)
    if (bucket && corsByRules(request, bucket)) return { status: 204 }
    throw new S3Error('AccessDenied', 'CORSResponse: CORS is not enabled for this bucket.')
  }
  const parameters = new Map(request.query)
  const names = new Set(parameters.keys())
  Object.assign(entry, { query: Object.fromEntries(parameters) })
  const { bucket: bucketName, key } = request.target
  Object.assign(entry, { bucket: bucketName, key, operation: operationOf(request, bucketName, key, names) })
  const payloadHash = verifySignature(request, world.credentials, behaviour.now())
  if (parameters.size !== request.query.length) {
    throw new S3Error('InvalidArgument', 'A query parameter is there more than once')
  }
  const route = checkedRoute(request, bucketName, key, names, behaviour.moreHeaders)
  const bucket = world.buckets.get(bucketName)
  if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.')
  const verdict = await behaviour.onRequest?.({ ...entry, bucket: bucketName, key })
  const faults = await obey(verdict, request)
  if ('status' in faults) return answerReply(faults)
  tell(faults)
  const receive = () => receiveBody(request, payloadHash, behaviour.discardBodiesOver)
  const call: Call = {
    request,
    bucket,
    buckets: world.buckets,
    key,
    behaviour,
    param: (name) => parameters.get(name),
    nowMs: () => behaviour.now(),
    receive,
    readyToCommit: () => readyToCommit(response, faults.delayMs ?? behaviour.delayMs),
  }
  if (route.readsBody === undefined) await receive()
  const reply = await route.run(call)
  if (faults.afterwards === 'reset') throw new Unanswered('reset')
  return faults.afterwards === undefined ? reply : answerReply(faults.afterwards)
}

/** Carries out what stops the operation; what does not is handed back. */
async function obey(verdict: Verdict, request: S3Request): Promise<Faults | Answer> {
  if (verdict === undefined || verdict === 'pass') return {}
  if (verdict === 'reset') throw new Unanswered('reset')
  if (verdict === 'hang' || ('status' in verdict && verdict.early !== true)) {
    await receiveBody(request, 'UNSIGNED-PAYLOAD', 0)
    if (verdict === 'hang') throw new Unanswered('hang')
  }
  return verdict
}

async function readyToCommit(response: ServerResponse, delayMs: number): Promise<void> {
  const gone = new AbortController()
  const leave = () => gone.abort()
  response.once('close', leave)
  // Even without a delay one turn of the event loop, so that a connection closed by now is seen to be.
  if (delayMs > 0) await sleep(delayMs, undefined, { signal: gone.signal }).catch(() => undefined)
  else await nextTurn()
  response.off('close', leave)
  const { socket } = response
  if (response.destroyed || socket === null || socket.destroyed || socket.readableEnded)
    throw new ClientGone()
}

function corsOf(request: S3Request, { behaviour, buckets }: World): Record<string, string> {
  if (behaviour.cors || request.header('origin') === undefined) return corsHeaders(request, behaviour)
  const bucket = buckets.get(request.target.bucket)
  return (bucket && corsByRules(request, bucket)) ?? {}
}

function prepare(response: ServerResponse, request: S3Request, world: World): void {
  const headers = {
    ...corsOf(request, world),
    'x-amz-request-id': Math.random().toString(16).slice(2).padEnd(16, '0').toUpperCase(),
    date: new Date(world.behaviour.now()).toUTCString(),
  }
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  // The body of a request refused while it waits for "100 Continue" may come or not, so the connection ends here.
  if (request.header('expect') !== undefined && !request.incoming.complete) response.shouldKeepAlive = false
}
