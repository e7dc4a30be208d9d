import { Readable } from 'node:stream'
import type { S3Client } from '@aws-sdk/client-s3'

/** What is read of an answer that should be short. */
export const MAX_TEXT_BYTES = 8 * 1024 * 1024

/**
 * Bounds what a client reads of an answer that is no file: the SDK would read on for as long as a byte comes now and
 * then, and keep it all. White space does not count: S3 servers send it while they are still at a copy or a completion.
 */
export function boundAnswers(client: S3Client, idleTimeout: number): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args)
      const { response } = result
      if (!hasBody(response)) return result
      if (context.commandName === 'GetObjectCommand' && response.statusCode < 300) return result
      response.body = Readable.from(bounded(response.body, idleTimeout))
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'stowageBoundAnswers' },
  )
}

async function* bounded(body: Readable, idleTimeout: number): AsyncGenerator<Buffer> {
  let timer: NodeJS.Timeout | undefined
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.byteLength
      if (bytes > MAX_TEXT_BYTES) throw new Error('the answer is too long')
      if (timer === undefined && chunk.some((byte: number) => byte > 0x20)) {
        const tooSlow = Object.assign(new Error('the answer comes too slowly'), { code: 'ETIMEDOUT' })
        timer = setTimeout(() => body.destroy(tooSlow), idleTimeout)
      }
      yield chunk
    }
  } finally {
    clearTimeout(timer)
  }
}

function hasBody(response: unknown): response is { statusCode: number; body: Readable } {
  return (
    typeof response === 'object' &&
    response !== null &&
    'statusCode' in response &&
    'body' in response &&
    response.body instanceof Readable
  )
}
