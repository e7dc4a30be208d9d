import type { Dirent } from 'node:fs'
import type { Entry } from '../../driver.js'
import { compareNames, type Folder, isName, RESERVED_SEGMENT } from '../../names.js'
import type { ListedFile } from '../../types.js'
import type { Root } from './root.js'
import { lstatIfThere, readdir } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { stateOf } from './version.js'

/** Files looked at together: enough to keep the thread pool busy. */
const BATCH = 64

/**
 * The files below a folder in UTF-8 byte order of their names, and the folders that the naming rule refuses. No link is followed, the storage's own folders are left
 * out, and files that vanish meanwhile are passed over. Memory: the names of one folder per level.
 */
export async function* walk(root: Root, folder: Folder): AsyncIterable<readonly ListedFile[]> {
  let batch: string[] = []
  for await (const name of filesBelow(root, folder)) {
    batch.push(name)
    if (batch.length < BATCH) continue
    yield await toFiles(root, batch)
    batch = []
  }
  if (batch.length > 0) yield await toFiles(root, batch)
}

/** One level of a folder. The system's listing has the kinds, so no file is looked at. */
export async function entriesOf(root: Root, folder: Folder): Promise<Entry[]> {
  const start = folder === '' ? '' : `${folder}/`
  return (await level(root, folder)).map((found) => {
    const isDirectory = found.endsWith('/')
    return {
      kind: isDirectory ? 'directory' : 'file',
      name: start + (isDirectory ? found.slice(0, -1) : found),
    }
  })
}

async function* filesBelow(root: Root, folder: string): AsyncIterable<string> {
  for (const found of await level(root, folder)) {
    const name = folder === '' ? found : `${folder}/${found}`
    if (!found.endsWith('/')) {
      yield name
      continue
    }
    // Below a folder whose name breaks the naming rule, every name does. The paths there may be too long for the system,
    // so the folder stands for all of them, with its closing slash.
    const directory = name.slice(0, -1)
    if (isName(directory)) yield* filesBelow(root, directory)
    else yield name
  }
}

/** The files and folders in a folder. A folder ends in `/` and sorts so, as the names of its files do. */
async function level(root: Root, folder: string): Promise<string[]> {
  let found: string[] = []
  let isPlain = true
  for (const entry of await readableEntries(root, folder)) {
    if (entry.name === RESERVED_SEGMENT) continue
    const segment = root.segmentOf(entry.name)
    if (entry.isFile()) found.push(segment)
    else if (entry.isDirectory()) found.push(`${segment}/`)
    isPlain &&= !SURROGATE.test(segment)
  }
  // A name may be there twice: in its form, and as another program wrote it.
  if (root.isPortable) found = [...new Set(found)]
  // JavaScript's own order is that of UTF-8 bytes where there are no surrogates, and many times as fast to make.
  return isPlain ? found.sort() : found.sort(compareNames)
}

const SURROGATE = /[\ud800-\udfff]/

/** At the root of a disk there is the folder of its repairs, which only the superuser may read. */
async function readableEntries(root: Root, folder: string): Promise<Dirent[]> {
  try {
    return await readdirIfThere(root.pathOfListed(folder))
  } catch (error) {
    if (folder === 'lost+found' && hasCode(error, 'EACCES')) return []
    throw error
  }
}

/** A missing folder is empty. */
export async function readdirIfThere(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}

async function toFiles(root: Root, names: readonly string[]): Promise<ListedFile[]> {
  const files = await Promise.all(names.map((name) => toFile(root, name)))
  return files.filter((file) => file !== null)
}

async function toFile(root: Root, name: string): Promise<ListedFile | null> {
  if (name.endsWith('/')) return { name, size: 0, lastModified: new Date(0), etag: '""' }
  const stats = await lstatIfThere(root.pathOfListed(name))
  return stats?.isFile() ? { name, ...stateOf(stats) } : null
}
