import type { Dirent } from 'node:fs'
import { join } from 'node:path'
import type { Entry } from '../../driver.js'
import { compareNames, type Folder, isName, RESERVED_SEGMENT } from '../../names.js'
import type { Root } from './root.js'
import { hasCode, lstatIfThere, readdir } from './syscalls.js'
import { stateOf } from './version.js'

/** Files looked at together: enough to keep the thread pool busy. */
const BATCH = 64

/**
 * The files below a folder in UTF-8 byte order of their names. No link is followed, the storage's own folders are left
 * out, and what vanishes meanwhile is passed over. Memory: the names of one folder per level.
 */
export async function* walk(root: Root, folder: Folder, recursive: boolean): AsyncIterable<readonly Entry[]> {
  let batch: Found[] = []
  for await (const found of entriesBelow(root, folder, recursive)) {
    batch.push(found)
    if (batch.length < BATCH) continue
    yield await toEntries(root, batch)
    batch = []
  }
  if (batch.length > 0) yield await toEntries(root, batch)
}

interface Found {
  readonly name: string
  readonly directory: boolean
}

async function* entriesBelow(root: Root, folder: string, recursive: boolean): AsyncIterable<Found> {
  for (const entry of await sortedEntries(root, folder)) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (!entry.isDirectory()) yield { name, directory: false }
    else if (!recursive) yield { name, directory: true }
    // Below a folder that no name fits is no file that one fits; its path may be longer than the system takes.
    else if (isName(name)) yield* entriesBelow(root, name, true)
  }
}

/** A folder sorts as its name and `/`, since that is what the names of its files begin with. */
async function sortedEntries(root: Root, folder: string): Promise<Dirent[]> {
  const keyOf = (entry: Dirent) => (entry.isDirectory() ? `${entry.name}/` : entry.name)
  return (await readableEntries(root, folder))
    .filter((entry) => (entry.isFile() || entry.isDirectory()) && entry.name !== RESERVED_SEGMENT)
    .sort((a, b) => compareNames(keyOf(a), keyOf(b)))
}

/** At the root of a disk, the folder of its repairs is there, which only the superuser may read, and no concern of others. */
async function readableEntries(root: Root, folder: string): Promise<Dirent[]> {
  try {
    return await readdirIfThere(join(root.path, folder))
  } catch (error) {
    if (folder === 'lost+found' && hasCode(error, 'EACCES')) return []
    throw error
  }
}

/** A folder that is not there is empty. */
export async function readdirIfThere(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

async function toEntries(root: Root, batch: readonly Found[]): Promise<Entry[]> {
  const entries = await Promise.all(batch.map((found) => toEntry(root, found)))
  return entries.filter((entry) => entry !== null)
}

async function toEntry(root: Root, { name, directory }: Found): Promise<Entry | null> {
  if (directory) return { kind: 'directory', name }
  const stats = await lstatIfThere(join(root.path, name))
  return stats?.isFile() ? { kind: 'file', name, ...stateOf(stats) } : null
}
