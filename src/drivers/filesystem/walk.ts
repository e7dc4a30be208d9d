import type { BigIntStats, Dirent } from 'node:fs'
import type { Entry } from '../../driver.js'
import { Problem } from '../../errors.js'
import { compareNames, type Folder, isName, RESERVED_SEGMENT } from '../../names.js'
import type { ListedFile } from '../../types.js'
import { Pace } from './pace.js'
import type { Root } from './root.js'
import { lstatIfThere, lstatNow, type RawEntry, readdir, readdirRaw } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { stateOf } from './version.js'

/** Files looked at together: enough to keep the thread pool busy. */
const BATCH = 64

/** Shared by all listings. */
const PACE = new Pace()

/**
 * The files below a folder in UTF-8 byte order of their names, and the folders that the naming rule refuses. No link is followed, the storage's own folders are left
 * out, and files that vanish meanwhile are passed over. Memory: the names of one folder per level.
 */
export async function* walk(root: Root, folder: Folder): AsyncIterable<readonly ListedFile[]> {
  let batch: string[] = []
  for await (const names of filesBelow(root, folder)) {
    batch = batch.length === 0 ? names : [...batch, ...names]
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

/** Names in runs of {@link BATCH} at most. */
async function* filesBelow(root: Root, folder: string): AsyncIterable<string[]> {
  const start = folder === '' ? '' : `${folder}/`
  let run: string[] = []
  for (const found of await level(root, folder)) {
    const name = start + found
    // Below a folder whose name breaks the naming rule, every name does. The paths there may be too long for the system,
    // so the folder stands for all of them, with its closing slash.
    const folderBelow = found.endsWith('/') && isName(name.slice(0, -1)) ? name.slice(0, -1) : undefined
    if (folderBelow === undefined) run.push(name)
    if (run.length > 0 && (folderBelow !== undefined || run.length === BATCH)) {
      yield run
      run = []
    }
    if (folderBelow !== undefined) yield* filesBelow(root, folderBelow)
  }
  if (run.length > 0) yield run
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

type NamedEntry = Pick<Dirent, 'name' | 'isFile' | 'isDirectory'>

async function readableEntries(root: Root, folder: string): Promise<readonly NamedEntry[]> {
  const path = root.pathOfListed(folder)
  try {
    const entries = await readdir(path)
    return entries.some(({ name }) => name.includes(UNDECODED))
      ? decoded(await readdirRaw(Buffer.from(path)))
      : entries
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    if (hasCode(error, 'ENOTDIR')) {
      if (folder !== '') return []
      throw new Problem('Misconfigured', 'the storage folder (location) is not a folder', { cause: error })
    }
    // At the root of a disk there is the folder of its repairs, which only the superuser may read.
    if (folder === 'lost+found' && hasCode(error, 'EACCES')) return []
    throw error
  }
}

/** What Node reads for bytes that are not UTF-8. Names may also have this character itself. */
const UNDECODED = '\ufffd'

/** Gives each name that is not UTF-8 a form of its own, with lone surrogates: the naming rule refuses it. */
function decoded(entries: readonly RawEntry[]): NamedEntry[] {
  return entries.map((entry) => ({
    name: textOf(entry.name),
    isFile: () => entry.isFile(),
    isDirectory: () => entry.isDirectory(),
  }))
}

/** In a name that is not UTF-8, U+DC80 to U+DCFF for the bytes above ASCII, as Python does it. */
function textOf(name: Buffer): string {
  const text = name.toString()
  if (Buffer.from(text).equals(name)) return text
  return name
    .toString('latin1')
    .replace(/[\x80-\xff]/g, (byte) => String.fromCharCode(0xdc00 + byte.charCodeAt(0)))
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
  const files: (ListedFile | null | Promise<ListedFile | null>)[] = []
  for (const name of names) {
    if (PACE.isTired) await PACE.rest()
    const file = PACE.isFast() ? PACE.time(() => toFileNow(root, name)) : undefined
    files.push(file ?? toFile(root, name))
  }
  const found: ListedFile[] = []
  for (const each of files) {
    const file = each instanceof Promise ? await each : each
    if (file) found.push(file)
  }
  return found
}

/** Undefined where there is none, and where {@link toFile} has to say what is wrong. */
function toFileNow(root: Root, name: string): ListedFile | undefined {
  try {
    return isUnreachable(name) ? undefined : toListed(name, lstatNow(root.pathOfListed(name)))
  } catch {
    return undefined
  }
}

/** Whether it stands for a folder that the naming rule refuses, or has no path as a string. It is told by its name only. */
function isUnreachable(name: string): boolean {
  return name.endsWith('/') || !name.isWellFormed()
}

function toFile(root: Root, name: string): ListedFile | Promise<ListedFile | null> {
  if (isUnreachable(name)) return { name, size: 0, lastModified: new Date(0), etag: '""' }
  const looking = lstatIfThere(root.pathOfListed(name)).then((stats) => toListed(name, stats) ?? null)
  looking.catch(() => {}) // It may fail before somebody waits for it.
  return looking
}

function toListed(name: string, stats: BigIntStats | null | undefined): ListedFile | undefined {
  if (!stats?.isFile()) return undefined
  const { size, lastModified, etag } = stateOf(stats)
  return { name, size, lastModified, etag }
}
