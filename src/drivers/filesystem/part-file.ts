import type { BigIntStats } from 'node:fs'
import type { Body } from '../../content.js'
import { crypto } from '../../crypto.js'
import { Problem } from '../../errors.js'
import { partReplaced, type UploadedPart } from '../../upload-driver.js'
import { ChunkWriter } from './chunk-writer.js'
import type { Context } from './context.js'
import { closeRead, fstat, open, READ, read, writeAll } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { writeTemp } from './temp-file.js'

/** A part's file ends in the MD5 of its content: one rename replaces both. */
const MD5_BYTES = 16
const CHUNK_BYTES = 128 * 1024

/** Writes a part to a temporary file. On failure nothing is left of it. */
export async function writePart(
  context: Context,
  body: Body,
  signal: AbortSignal | undefined,
): Promise<{ readonly path: string; readonly etag: string }> {
  const { path, result } = await writeTemp(context, async (fd) => {
    const hash = crypto().createHash('md5')
    const writer = new ChunkWriter(fd)
    for await (const chunk of body.chunks(signal)) {
      hash.update(chunk)
      await writer.write(chunk)
    }
    await writer.flush()
    const md5 = hash.digest()
    await writeAll(fd, md5)
    return md5
  })
  return { path, etag: etagOf(result) }
}

/** A part as the name of its file describes it. Null where there is none. */
export async function examinePart(path: string, number: number): Promise<UploadedPart | null> {
  try {
    const { fd, size, etag } = await openPart(path)
    closeRead(fd)
    return { number, etag, size }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}

/** The first bytes of a part that was listed, or all of them. */
export async function* readPart(path: string, part: UploadedPart, limit = part.size): AsyncGenerator<Buffer> {
  const { fd, size, etag } = await openPart(path).catch((error: unknown) => {
    throw hasCode(error, 'ENOENT') ? partReplaced() : error
  })
  try {
    if (etag !== part.etag || size !== part.size) throw partReplaced()
    const end = Math.min(size, limit)
    for (let position = 0; position < end; ) {
      const chunk = Buffer.allocUnsafe(Math.min(end - position, CHUNK_BYTES))
      const bytesRead = await read(fd, chunk, 0, chunk.byteLength, position)
      if (bytesRead === 0) throw cut()
      position += bytesRead
      yield chunk.subarray(0, bytesRead)
    }
  } finally {
    closeRead(fd)
  }
}

async function openPart(path: string) {
  const fd = await open(path, READ)
  try {
    const stats: BigIntStats = fstat(fd)
    const size = Number(stats.size) - MD5_BYTES
    const md5 = Buffer.alloc(MD5_BYTES)
    if (size < 0 || (await read(fd, md5, 0, MD5_BYTES, size)) !== MD5_BYTES) throw cut()
    return { fd, size, etag: etagOf(md5) }
  } catch (error) {
    closeRead(fd)
    throw error
  }
}

function etagOf(md5: Buffer): string {
  return `"${md5.toString('hex')}"`
}

function cut(): Problem {
  return new Problem('Corrupt', 'a part of the upload is damaged')
}
