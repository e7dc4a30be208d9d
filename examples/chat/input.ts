import { createHash } from 'node:crypto'
import type { Context } from 'hono'
import { getCookie } from 'hono/cookie'
import { HTTPException } from 'hono/http-exception'

/** The user's public id. The cookie itself stays between the browser and this server. */
export function userOf(c: Context): string {
  const key = getCookie(c, 'user')
  if (!key) throw new HTTPException(401, { message: 'Open the page first.' })
  return createHash('sha256').update(key).digest('hex').slice(0, 16)
}

/** The object of a JSON request. Any of its fields may be anything. */
export async function bodyOf(c: Context): Promise<Record<string, unknown>> {
  const body: unknown = await c.req.json().catch(() => undefined)
  if (typeof body !== 'object' || body === null)
    throw new HTTPException(400, { message: 'JSON is expected.' })
  return { ...body }
}

export function textOf(value: unknown, longest: number): string {
  const text = typeof value === 'string' ? value.trim() : ''
  if (text !== '' && text.length <= longest) return text
  throw new HTTPException(400, { message: `A text of 1 to ${longest} characters is expected.` })
}

/** What the page's recorder says about a voice note: its loudness as digits, and its length. */
export function recordingOf({ wave = [], seconds = [] }: Record<string, string[]>) {
  const recording = { wave: wave[0] ?? '', seconds: Number(seconds[0]) }
  return /^\d{1,48}$/.test(recording.wave) && recording.seconds > 0 ? recording : undefined
}
