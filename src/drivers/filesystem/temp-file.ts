import type { Context } from './context.js'
import { close, fsync, unlink } from './syscalls.js'
import { createTemp } from './temp.js'

/** Writes a temporary file, durable if asked for. On failure nothing is left of it. */
export async function writeTemp<T>(
  { root, fileMode, fsync: durable }: Context,
  write: (fd: number) => Promise<T>,
): Promise<{ readonly path: string; readonly result: T }> {
  const { path, fd } = await createTemp(root, fileMode)
  try {
    try {
      const result = await write(fd)
      if (durable) await fsync(fd)
      return { path, result }
    } finally {
      await close(fd)
    }
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
}
