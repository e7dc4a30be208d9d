import { randomUUID } from 'node:crypto'
import { createWriteStream, rmSync, type Stats } from 'node:fs'
import { chmod, link, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { promises as streams } from 'node:stream'
import { EXIT } from './exit-code.js'
import { Failure, localFailure, usage } from './failure.js'

/** The path that a file gets: a folder keeps the base name. */
export async function placeFor(path: string, name: string): Promise<string> {
  const found = await statIfThere(path)
  if (found?.isDirectory()) return join(path, basename(name))
  if (/[/\\]$/.test(path)) throw new Failure('ENOENT', `${path}: there is no such folder`)
  return path
}

/**
 * Writes a local file. It is written beside its place and takes it when it is whole, so that a failure, Ctrl-C or a full
 * disk leaves nothing behind. Replaces a file only with `overwrite`. A device or a pipe is simply written to.
 */
export async function writeLocalFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  { overwrite, signal }: { readonly overwrite: boolean; readonly signal: AbortSignal },
): Promise<void> {
  try {
    const found = await statIfThere(path)
    if (found?.isDirectory()) throw usage(`${path} is a folder`)
    if (found && !found.isFile()) return await streams.pipeline(chunks, createWriteStream(path), { signal })
    if (found && !overwrite) throw taken(path)
    await writeBeside(found ? await realpath(path) : path, found, chunks, signal)
  } catch (error) {
    throw localFailure(path, error)
  }
}

async function writeBeside(
  path: string,
  old: Stats | undefined,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  const draft = join(dirname(path), `.stowage-${randomUUID()}.part`)
  const removeAtOnce = () => rmSync(draft, { force: true })
  process.on('exit', removeAtOnce) // The second Ctrl-C.
  try {
    await streams.pipeline(chunks, createWriteStream(draft, { flags: 'wx' }), { signal })
    if (old) {
      await chmod(draft, old.mode)
      await rename(draft, path)
    } else {
      await publish(draft, path)
    }
  } finally {
    await rm(draft, { force: true })
    process.off('exit', removeAtOnce)
  }
}

/** Gives the draft its name, unless another program has taken it meanwhile. */
async function publish(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(path)
    // A disk without hard links: an empty file takes the name first.
    const reserved = await open(path, 'wx').catch((cause: unknown) => {
      throw codeOf(cause) === 'EEXIST' ? taken(path) : cause
    })
    await reserved.close()
    await rename(draft, path)
  }
}

function taken(path: string): Failure {
  const message = `${path} exists: give another name, or --if-exists overwrite`
  return new Failure('EEXIST', message, EXIT.conflict)
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw localFailure(path, error)
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
