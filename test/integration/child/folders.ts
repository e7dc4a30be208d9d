/** Folders of the tests and what is in them. */
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

const made: string[] = []

/** A new empty folder, removed after the test. */
export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-test-'))
  made.push(folder)
  return folder
}

afterEach(async () => {
  for (const folder of made.splice(0)) await rm(folder, { recursive: true, force: true })
})

/** All files below a folder by their paths in it; the storage's own too. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** What is left of saves that did not end: all that a crash, an abort or an error may leave behind. */
export async function temporaryFilesIn(folder: string): Promise<string[]> {
  return (await filesIn(folder)).filter((path) => /(^|\/)\.stowage\/(?!meta\/|swept$)/.test(path))
}

/** Without their aliases, by which copies find them. */
export async function sidecarsIn(folder: string): Promise<string[]> {
  return (await filesIn(folder)).filter((path) => path.startsWith('.stowage/meta/') && !isAlias(path))
}

export async function aliasesIn(folder: string): Promise<string[]> {
  return (await filesIn(folder)).filter(isAlias)
}

function isAlias(path: string): boolean {
  return /^\.stowage\/meta\/..\/[0-9a-f]{32}-\d+-\d+$/.test(path)
}

/** Everything about a folder that a change of any kind would change. */
export async function fingerprint(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name)
    const { ino, mode, nlink, mtimeMs } = await lstat(path)
    const content = entry.isFile()
      ? await readFile(path, 'utf8')
      : entry.isSymbolicLink()
        ? await readlink(path)
        : ''
    return [path, ino, mode.toString(8), nlink, entry.isDirectory() ? '' : mtimeMs, content].join(' ')
  })
  return (await Promise.all(lines)).sort()
}
