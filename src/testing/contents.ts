import { createCipheriv } from 'node:crypto'
import type { Bytes } from '../stored-file.js'

export const MiB = 1024 * 1024

/** More than two parts of 8 MiB, and no round number. */
export const LARGE = 17 * MiB + 12_345

/** Bytes that repeat nowhere, the same ones for the same seed. */
export function pseudoRandom(size: number, seed = 1): Bytes {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(size))
}

/** A one-way stream that does not tell its length, in chunks of ever other sizes. */
export async function* inChunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const sizes = [65_536, 1, 999_983, 7, 250_000]
  let start = 0
  for (let i = 0; start < bytes.byteLength; i++) {
    const end = start + (sizes[i % sizes.length] ?? 1)
    yield bytes.subarray(start, end)
    start = end
  }
}

/** Never settles, like a client that has gone silent. */
export function never(): Promise<never> {
  return new Promise(() => {})
}

export async function* failingAfter(chunks: Iterable<Uint8Array | string>, error: Error) {
  yield* chunks
  throw error
}

/** A promise and what settles it. */
export function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {}
  const promise = new Promise<void>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

/** A picture of one pixel. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=',
  'base64',
)

export const JPEG = Buffer.concat([
  Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'),
  Buffer.alloc(64),
  Buffer.from('ffd9', 'hex'),
])

export const PDF = Buffer.from(
  '%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n',
)

export const HTML = '<!doctype html>\n<html><body><script>alert(1)</script></body></html>\n'

/** The head of what browsers record: a WebM file (EBML, RFC 8794) whose one track is Opus. */
export const WEBM_AUDIO = Buffer.concat([
  element(
    '1a45dfa3',
    element('4282', Buffer.from('webm')),
    element('4287', hex('04')),
    element('4285', hex('02')),
  ),
  hex('1853806701ffffffffffffff'), // A segment of unknown size, as in a recording.
  element(
    '1654ae6b',
    element(
      'ae',
      element('d7', hex('01')),
      element('73c5', hex('2a')),
      element('83', hex('02')),
      element('86', Buffer.from('A_OPUS')),
      element('e1', element('b5', hex('473b8000')), element('9f', hex('01'))),
    ),
  ),
  element('ec', Buffer.alloc(64)),
])

function element(id: string, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content)
  return Buffer.concat([hex(id), Buffer.from([0x80 | body.length]), body])
}

function hex(digits: string): Buffer {
  return Buffer.from(digits, 'hex')
}
