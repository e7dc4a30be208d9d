import { dirname, join } from 'node:path'
import {
  type Check,
  type CheckOutcome,
  type CheckRequest,
  failed,
  ok,
  skipped,
  warning,
} from '../../checks.js'
import { isProblem } from '../../errors.js'
import type { Folder } from '../../names.js'
import type { Context } from './context.js'
import { checkRoot, checkSpace } from './disk-checks.js'
import { setFolderMode } from './modes.js'
import {
  close,
  create,
  fstat,
  fsync,
  fsyncDirectory,
  isWindows,
  link,
  lstatIfThere,
  mkdir,
  NO_HARD_LINKS,
  readdir,
  setTimes,
  unlink,
  writeAll,
} from './syscalls.js'
import { classifySystemError, hasCode } from './system-errors.js'

/** What a test file gets: more than filesystems keep in an inode. */
const CONTENT = Buffer.alloc(8192, 'x')
/** Seconds with microseconds, odd: FAT keeps even seconds only. */
const SOME_TIME = 1_600_000_001.1234565

/** The checks of the disk below a root. */
export class DiskChecks {
  readonly #context: Context
  readonly #directoryMode: number | null

  constructor(context: Context, directoryMode: number | null) {
    this.#context = context
    this.#directoryMode = directoryMode
  }

  all(): readonly Check[] {
    const { root } = this.#context
    const reads = { group: 'Disk', essential: true, writes: false, needs: [] }
    const writes = { ...reads, writes: true }
    const useful = { ...writes, essential: false }
    const trying = (work: (path: string) => Promise<CheckOutcome>) => (request: CheckRequest) =>
      this.#inFolder(request.folder, work)
    return [
      { ...reads, check: 'root', run: ({ writable }) => checkRoot(root, writable) },
      { ...writes, check: 'space', run: () => checkSpace(root) },
      { ...writes, check: 'writable', run: ({ folder }) => this.#writable(folder) },
      { ...writes, check: 'modes', run: trying((path) => this.#modes(path)) },
      { ...writes, check: 'fsync', run: trying((path) => this.#fsync(path)) },
      { ...useful, check: 'hard-links', run: trying(checkLinks) },
      { ...useful, check: 'letter-case', run: trying(checkCase) },
      { ...useful, check: 'times', run: trying(checkTimes) },
    ]
  }

  /** Runs `work` in a folder that is removed afterwards, with what is in it. */
  async #inFolder<T>(folder: Folder, work: (path: string) => Promise<T>): Promise<T> {
    const path = this.#context.root.pathOf(folder)
    const made: string[] = []
    try {
      await makeFolders(path, made)
      return await work(path)
    } catch (error) {
      throw isProblem(error) ? error : classifySystemError(error)
    } finally {
      for (const { name } of await readdir(path).catch(() => []))
        await unlink(join(path, name)).catch(() => {})
      await this.#context.root.unmake(made)
    }
  }

  async #writable(folder: Folder): Promise<CheckOutcome> {
    const { root } = this.#context
    try {
      await this.#inFolder(folder, async (path) => close(await newFile(path, 'writable')))
      return ok('Files can be written.')
    } catch (error) {
      const { code, message, cause } = isProblem(error) ? error : classifySystemError(error)
      if (hasCode(cause, 'EROFS')) {
        return failed(
          'The filesystem is mounted read-only.',
          'Mount it for writing, or choose another folder (MEDIA_ROOT).',
        )
      }
      if (code === 'PermissionDenied') {
        return failed(
          `The process${userOf()} may not write to the folder ${root.path}.`,
          `Give its user the folder (chown), or run the application as the folder's owner.`,
        )
      }
      if (code === 'Full') {
        return failed(`Nothing can be written: ${message}.`, 'Free some space, or raise the quota.')
      }
      return failed(`Nothing can be written: ${message}.`, 'Check the disk and the folder.')
    }
  }

  async #modes(path: string): Promise<CheckOutcome> {
    const { fileMode } = this.#context
    if (isWindows) return skipped('Windows has no modes.')
    if (fileMode === null && this.#directoryMode === null)
      return skipped('Modes are left to umask and mount.')
    try {
      const { fd } = await create(join(path, 'modes'), fileMode)
      await close(fd)
      await setFolderMode(path, this.#directoryMode)
      return ok('Files and folders get the modes that they should.')
    } catch (error) {
      if (!isProblem(error)) throw error
      const [refusal = '', advice = ''] = error.message.split(': set ')
      return failed(`The mount does not allow chmod: ${refusal}.`, `Set ${advice}.`)
    }
  }

  async #fsync(path: string): Promise<CheckOutcome> {
    if (!this.#context.fsync)
      return skipped('The option fsync is off: a power cut may lose acknowledged files.')
    try {
      const fd = await newFile(path, 'fsync')
      await fsync(fd).finally(() => close(fd))
      await fsyncDirectory(path)
      return ok('Files survive a power cut once they are acknowledged.')
    } catch (error) {
      const { message } = classifySystemError(error)
      return failed(
        `The filesystem cannot make a file durable (fsync): ${message}.`,
        'Use another filesystem, or give the option fsync: false if a power cut may lose files.',
      )
    }
  }
}

/** One by one: the recursive form of Node says ENOENT of a read-only filesystem. Adds the new ones to `made`. */
async function makeFolders(path: string, made: string[]): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (!hasCode(error, 'ENOENT') || dirname(path) === path) throw error
    await makeFolders(dirname(path), made)
    await mkdir(path)
  }
  made.push(path)
}

/** A new file with something in it, open. */
async function newFile(folder: string, name: string): Promise<number> {
  const { fd } = await create(join(folder, name), null)
  try {
    await writeAll(fd, CONTENT)
    return fd
  } catch (error) {
    await close(fd).catch(() => {})
    throw error
  }
}

function userOf(): string {
  const id = process.geteuid?.()
  return id === undefined ? '' : ` (user ${id})`
}

async function checkLinks(path: string): Promise<CheckOutcome> {
  await close(await newFile(path, 'one'))
  try {
    await link(join(path, 'one'), join(path, 'other'))
    return ok('There are hard links, so a new file never replaces another.')
  } catch (error) {
    if (!hasCode(error, ...NO_HARD_LINKS)) throw error
    return warning(
      'There are no hard links: a lock file guards the names of new files, which other programs do not honour.',
      'Use a filesystem with hard links, such as ext4, XFS, APFS or NTFS.',
    )
  }
}

async function checkCase(path: string): Promise<CheckOutcome> {
  await close(await newFile(path, 'case'))
  if ((await lstatIfThere(join(path, 'CASE'))) === null)
    return ok('Upper and lower case are different names.')
  return warning(
    'The filesystem takes upper and lower case for the same name; R2 and S3 do not.',
    'Do not let two names differ by case alone, or use a case-sensitive filesystem.',
  )
}

async function checkTimes(path: string): Promise<CheckOutcome> {
  const fd = await newFile(path, 'times')
  try {
    setTimes(fd, SOME_TIME)
    const { mtimeNs } = fstat(fd)
    const rest = mtimeNs % 1_000_000_000n
    if (rest !== 0n) {
      const unit = rest % 1_000_000n === 0n ? 'millisecond' : 'microsecond'
      return ok(`Times are kept to the ${unit}.`)
    }
    const seconds = mtimeNs / 1_000_000_000n === BigInt(Math.floor(SOME_TIME)) ? 'one second' : 'two seconds'
    return warning(
      `The filesystem keeps times to ${seconds} only.`,
      'Use a filesystem with finer times if many programs replace the same files.',
    )
  } finally {
    await close(fd)
  }
}
