import { Refusal } from './refusal.js'

/** Reads a JSON object. @throws {Refusal} 413 beyond `limit` bytes, 400 for anything else. */
export async function readJson(
  { body, headers }: Request,
  limit: number,
): Promise<Readonly<Record<string, unknown>>> {
  if (Number(headers.get('content-length')) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.byteLength
      if (bytes > limit) throw tooLarge()
      chunks.push(chunk)
    }
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString())
    if (isObject(value)) return value
  } catch (error) {
    if (error instanceof Refusal) throw error
  }
  throw new Refusal(400, 'The request has no JSON object.')
}

/** Whether a value is an object with fields. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function tooLarge(): Refusal {
  return new Refusal(413, 'The request is too large.')
}
