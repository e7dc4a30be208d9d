/**
 * What tests let other processes do: `node programs.mjs <name> <argument as JSON>`, compiled by bundle.ts. Prints a
 * line when it is ready, begins when a line comes in, and prints its result as the last line.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type {
  CheckResult,
  FileSystemStorageOptions,
  R2StorageOptions,
  S3StorageOptions,
  Storage,
} from 'stowage'
import { killOnChange } from '../../chaos/child/calls.js'
import { failEachCallOf } from './broken-disk.js'
import {
  afterOpen,
  afterReaddir,
  beforeOpen,
  failing,
  holding,
  recordCalls,
  replacedBeforeRemoval,
  vanishingFromFirstListing,
  withoutChmod,
  withoutFolderOfFirstCopy,
  withoutFsync,
  withoutHardLinks,
} from './faults.js'
import { readWhileMoved } from './move.js'

export type StorageChoice =
  | ({ kind: 'filesystem' } & FileSystemStorageOptions)
  | ({ kind: 'r2' } & R2StorageOptions)
  | ({ kind: 's3' } & S3StorageOptions)

/** Loads the package only now, so that faults can be put in place before. */
async function storageOf(choice: StorageChoice): Promise<Storage> {
  const { FileSystemStorage, R2Storage, S3Storage } = await import('stowage')
  if (choice.kind === 'filesystem') return new FileSystemStorage(withoutKind(choice))
  return choice.kind === 'r2' ? new R2Storage(withoutKind(choice)) : new S3Storage(withoutKind(choice))
}

function withoutKind<Choice extends { kind: string }>({ kind: _, ...options }: Choice): Omit<Choice, 'kind'> {
  return options
}

/** What a disk may lack. */
const DISKS = {
  nothing: () => {},
  rights: () => {},
  'hard links': withoutHardLinks,
  modes: () => {
    process.umask(0o077)
    withoutChmod('EPERM')
  },
  fsync: () => withoutFsync('EINVAL'),
}

export interface Migration {
  location: string
  storage: StorageChoice
  log: string
  shard?: { index: number; of: number }
}

export interface Completion {
  storage: StorageChoice
  /** The address of the completion. */
  url: string
  parts: readonly object[]
  /** A file that is written when it begins. */
  log?: string
  /** The change to files by which the process dies. */
  killAt?: number
}

export interface Outcome {
  name?: string
  code?: string
  message?: string
  cause?: string
}

async function outcomeOf(work: Promise<string>): Promise<Outcome> {
  try {
    return { name: await work }
  } catch (error) {
    // Without `isStorageError`: a program that has given up its rights may not be able to load anything any more.
    const code =
      error instanceof Error && 'retryable' in error && 'code' in error ? String(error.code) : 'none'
    const cause = error instanceof Error ? String(error.cause) : ''
    return { code, message: String(error), cause }
  }
}

/** A content that tells its version, in a size of its own. */
export function contentOf(version: string, index: number): string {
  return `${version}\n${'x'.repeat((index * 7919) % 50_000)}`
}

/** The content of number `index` of `writeOnAndOn`: each third one is a multipart upload of more than 5 MiB. */
export function killedContent(index: number): Buffer {
  const size = index % 3 === 1 ? 5 * 1024 * 1024 + 1 + index : 1 + ((index * 7919) % 300_000)
  return Buffer.alloc(size, `${index} `)
}

export const programs = {
  readWhileMoved,

  /** Saves with and without metadata under a umask. */
  async saveUnderUmask({ umask, ...options }: FileSystemStorageOptions & { umask: number }) {
    process.umask(umask)
    const storage = await storageOf({ kind: 'filesystem', ...options })
    await storage.save('a/b/c/plain.txt', 'plain')
    await storage.save('a/d/described.txt', 'described', { metadata: { by: 'me' } })
    await storage.copy('a/d/described.txt', 'e/f/copied.txt')
    return null
  },

  /** Saves under a umask on a mount where every chmod fails with `code`. */
  async saveWithoutChmod({
    umask,
    code,
    ...options
  }: FileSystemStorageOptions & { umask: number; code: string }) {
    process.umask(umask)
    withoutChmod(code)
    const storage = await storageOf({ kind: 'filesystem', ...options })
    return outcomeOf(storage.save('a/b/x.txt', 'x', { metadata: { by: 'me' } }))
  },

  /** Opens one file many times and reads the handles one after the other; the longest call, and where none rests, in milliseconds. */
  async openMany({ storage, name, count }: { storage: StorageChoice; name: string; count: number }) {
    const source = await storageOf(storage)
    let longest = 0
    const timed = async <T>(call: () => Promise<T>): Promise<T> => {
      const begun = performance.now()
      const result = await call()
      longest = Math.max(longest, performance.now() - begun)
      return result
    }
    const together = <T>(work: () => Promise<T>) =>
      Promise.all(Array.from({ length: count }, () => timed(work)))
    // What the machine takes for as many downloads at once, and nobody rests. The first time, code and connections are new.
    const download = async () => (await source.open(name)).bytes()
    await together(download)
    longest = 0
    await together(download)
    const unrested = longest
    longest = 0
    const files = await together(() => source.open(name))
    let bytes = 0
    for (const file of files) bytes += (await timed(() => file.bytes())).byteLength
    return { longest, unrested, bytes }
  },

  /** Opens a file, and nothing else. The process ends by itself, or it does not. */
  async openOnly({ storage, name, half }: { storage: StorageChoice; name: string; half: boolean }) {
    const file = await (await storageOf(storage)).open(name)
    if (half) await file[Symbol.asyncIterator]().next()
    return Date.now()
  },

  /** Saves `contents` under one name, all at the same time; the names they got. */
  async saveSame({ storage, name, contents }: { storage: StorageChoice; name: string; contents: string[] }) {
    const target = await storageOf(storage)
    return Promise.all(contents.map((content) => target.save(name, content)))
  },

  /** Saves many files at once. */
  async saveMany({ storage, count }: { storage: StorageChoice; count: number }) {
    const target = await storageOf(storage)
    const save = async (index: number) => {
      async function* slow() {
        yield `${index}`
        await sleep(20)
        yield '!'
      }
      return target.save(`many/${index}.txt`, slow(), { metadata: { index: String(index) } })
    }
    return Promise.all(Array.from({ length: count }, (_, index) => outcomeOf(save(index))))
  },

  /** Copies one file to many names at once. */
  async copyMany({ storage, count }: { storage: StorageChoice; count: number }) {
    const target = await storageOf(storage)
    const from = await target.save('from.txt', 'x'.repeat(300_000), { metadata: { by: 'me' } })
    const copies = Array.from({ length: count }, (_, index) => target.copy(from, `many/${index}.txt`))
    return Promise.all(copies.map(outcomeOf))
  },

  /** Opens `name`, which leads to `folder/secret.txt`, while the folder is swapped for a link to another place. */
  async openWhileSwapped({ location, name, to }: { location: string; name: string; to: string }) {
    const folder = join(location, 'folder')
    beforeOpen(join(folder, 'secret.txt'), () => {
      renameSync(folder, `${folder}-aside`)
      symlinkSync(to, folder)
    })
    const storage = await storageOf({ kind: 'filesystem', location })
    return outcomeOf(storage.open(name).then((file) => file.text()))
  },

  /** Saves into a mount whose folder of temporary files another process removes, as it needs it no more. */
  async saveIntoMount({ location, name }: { location: string; name: string }) {
    withoutFolderOfFirstCopy()
    const storage = await storageOf({ kind: 'filesystem', location })
    return outcomeOf(storage.save(name, 'x'))
  },

  /** Saves on and on, new and replaced names, until it is killed. */
  async saveOnAndOn({ storage }: { storage: StorageChoice }) {
    const target = await storageOf(storage)
    for (let index = 0; ; index++) {
      const content = `${'y'.repeat(3_000_000)}end`
      await Promise.all([
        target.save(`new/${index}.txt`, content, { metadata: { index: String(index) } }),
        target.save('replaced.txt', content, { ifExists: 'overwrite', metadata: { index: String(index) } }),
      ])
    }
  },

  /** Saves, streams in parts and copies below `folder` until it is killed; each name it is told goes to the file `log`. */
  async writeOnAndOn({ storage, folder, log }: { storage: StorageChoice; folder: string; log: string }) {
    const target = await storageOf(storage)
    const first = await target.save(`${folder}/0`, killedContent(0))
    appendFileSync(log, `${first}\n`)
    let made = 0
    const write = async (kind: number) => {
      for (;;) {
        const name = `${folder}/${++made * 3 + kind}`
        const content = killedContent(made * 3 + kind)
        if (kind === 2) await target.copy(first, `${folder}/copy-${made}`)
        const stored = await target.save(name, kind === 1 ? Readable.from([content]) : content)
        appendFileSync(log, `${stored}\n`)
        if (kind === 0) await target.save(`${folder}/overwritten`, content, { ifExists: 'overwrite' })
      }
    }
    await Promise.all([write(0), write(1), write(2)])
  },

  /** Migrates a folder. Writes a line for each file, so that it can be killed in the midst. */
  async migrateFolder({ location, storage, log, shard }: Migration) {
    const { FileSystemStorage, migrate } = await import('stowage')
    const { failed, ...counts } = await migrate(
      new FileSystemStorage({ location }),
      await storageOf(storage),
      { shard, onProgress: ({ name }) => appendFileSync(log, `${name}\n`) },
    )
    return { ...counts, failed: failed.map(({ name, error }) => `${name}: ${error.message}`) }
  },

  /** Completes a direct upload, as a server does. */
  async completeUpload({ storage, url, parts, log, killAt }: Completion) {
    const kill = killAt === undefined ? undefined : killOnChange()
    const { createUploadHandler } = await import('stowage/http')
    const handler = createUploadHandler(await storageOf(storage), {
      authorize: () => true,
      name: ({ filename }) => filename,
      allowedTypes: ['image/png'],
    })
    if (log !== undefined) writeFileSync(log, 'begun')
    if (killAt !== undefined) kill?.(killAt)
    const response = await handler(new Request(url, { method: 'POST', body: JSON.stringify({ parts }) }))
    return { status: response?.status, body: await response?.text() }
  },

  /** The calls that make a save, an overwrite with metadata, a move and a delete durable. */
  async recordCalls({ location, fsync }: { location: string; fsync: boolean }) {
    const log = recordCalls()
    const storage = await storageOf({ kind: 'filesystem', location, fsync })
    const during = async (work: Promise<unknown>) => {
      await work
      return log.splice(0)
    }
    return {
      save: await during(storage.save('a/b/x.txt', 'x')),
      overwrite: await during(
        storage.save('a/b/x.txt', 'y', { ifExists: 'overwrite', metadata: { by: 'me' } }),
      ),
      move: await during(storage.move('a/b/x.txt', 'c/y.txt')),
      remove: await during(storage.delete('c/y.txt')),
    }
  },

  /** The calls that make the delete of a folder durable: of one that goes, and of one that has more than files in it. */
  async recordDeletePrefix({ location }: { location: string }) {
    const log = recordCalls()
    const storage = await storageOf({ kind: 'filesystem', location })
    for (const name of ['goes/a/x.txt', 'goes/y.txt', 'stays/x.txt']) await storage.save(name, 'x')
    execFileSync('mkfifo', [`${location}/stays/fifo`])
    log.length = 0
    await storage.deletePrefix('goes')
    const gone = log.splice(0)
    await storage.deletePrefix('stays')
    return { gone, stayed: log }
  },

  /** Saves a file in a folder while another save, which has made it, waits for the disk to keep the folder. */
  async saveInFolderJustMade({ location }: { location: string }) {
    const folder = join(location, 'new')
    let held: Promise<void> | undefined
    const log = recordCalls((call) => (call === `fsync ${location}` ? held : undefined))
    const storage = await storageOf({ kind: 'filesystem', location })
    await storage.save('warm-up.txt', 'x')
    log.length = 0
    let release = () => {}
    held = new Promise((resolve) => {
      release = resolve
    })
    const making = storage.save('new/a.txt', 'a')
    while (!log.includes(`mkdir ${folder}`)) await turn()
    const saving = storage.save('new/b.txt', 'b').then(() => log.push('acknowledged'))
    while (!log.includes(`fsync ${folder}`)) await turn()
    for (let turns = 0; turns < 10; turns++) await turn()
    release()
    await Promise.all([making, saving])
    return log
  },

  /** Saves, create-only or replacing, in each of which another call of a kind fails: the nth in the nth location. */
  async saveFailing({
    locations,
    name,
    call,
    code,
    ifExists,
  }: {
    locations: string[]
    name: string
    call: 'write' | 'fsync' | 'close' | 'link' | 'rename'
    code?: string
    ifExists: 'rename' | 'overwrite'
  }) {
    const failNth = failing(call, code)
    const outcomes: Outcome[] = []
    for (const location of locations) {
      const storage = await storageOf({ kind: 'filesystem', location })
      failNth(outcomes.length + 1)
      outcomes.push(await outcomeOf(storage.save(name, 'new', { ifExists, metadata: { by: 'me' } })))
      failNth(0)
    }
    return outcomes
  },

  /** Saves three versions of a file in one moment, the third while the first one's sidecar is still to be removed. */
  async overwriteInOneMoment({ location }: { location: string }) {
    let armed = false
    const removal = holding('unlink', (path) => armed && path.includes('/.stowage/meta/'))
    let last = false
    const publication = holding('rename', (path) => last && path === `${location}/a.txt`)
    const now = Date.now()
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    await storage.save('first.txt', 'x')
    Date.now = () => now
    const save = (version: string) =>
      storage.save('a.txt', version, { ifExists: 'overwrite', metadata: { version } })
    await save('v1')
    armed = true
    const second = save('v2')
    await removal.reached
    last = true
    const third = save('v3')
    await publication.reached
    removal.release()
    await second
    publication.release()
    await third
    const file = await storage.open('a.txt')
    return { text: await file.text(), metadata: file.metadata }
  },

  /**
   * Two moves of one file to one name: one finds that another file has just taken it, and removes its sidecar; the other
   * replaces that file.
   */
  async moveBesideFailedMove({ location }: { location: string }) {
    const target = join(location, 'to.txt')
    const creation = holding('link', (path) => path === target)
    const replacement = holding('rename', (path) => path === target)
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    await storage.save('from.txt', 'moved', { metadata: { by: 'me' } })
    const failing = outcomeOf(storage.move('from.txt', 'to.txt', { ifExists: 'error' }))
    await creation.reached
    const replacing = outcomeOf(storage.move('from.txt', 'to.txt', { ifExists: 'overwrite' }))
    await replacement.reached
    writeFileSync(target, 'taken')
    creation.release()
    const failed = await failing
    replacement.release()
    await replacing
    const file = await storage.open('to.txt')
    return { failed: failed.code, text: await file.text(), metadata: file.metadata }
  },

  /** Opens a file with metadata that is replaced by one without just after it was opened. */
  async openWhileReplaced({ location, name }: { location: string; name: string }) {
    const path = join(location, name)
    afterOpen(path, () => {
      writeFileSync(`${path}.new`, 'newer')
      renameSync(`${path}.new`, path)
      const meta = join(location, '.stowage/meta')
      for (const entry of readdirSync(meta, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) rmSync(join(entry.parentPath, entry.name))
      }
    })
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    await storage.save(name, 'older', { metadata: { by: 'me' } })
    const file = await storage.open(name)
    return { text: await file.text(), metadata: file.metadata }
  },

  /** Lists, then deletes a folder of a filesystem that lists no kinds, while files vanish from it. */
  async listWhileVanishing({ location, remove }: { location: string; remove: boolean }) {
    vanishingFromFirstListing(join(location, 'folder'))
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    for (const name of ['a.txt', 'b.txt']) await storage.save(`folder/${name}`, 'x')
    return remove
      ? (await storage.deletePrefix('folder')).deleted
      : (await storage.listdir('folder')).files.length
  },

  /** Deletes a folder that is swapped for a link to another place after its files were listed. */
  async deletePrefixWhileSwapped({ location, to }: { location: string; to: string }) {
    const folder = join(location, 'folder')
    afterReaddir(folder, () => {
      renameSync(folder, `${folder}-aside`)
      symlinkSync(to, folder)
    })
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    return storage.deletePrefix('folder')
  },

  /** One of the operations of `broken-disk.ts`, once for each of its calls, which fails. */
  async failEachCall({ operation, parent }: { operation: string; parent: string }) {
    return failEachCallOf(operation, parent)
  },

  /** A storage on a filesystem without hard links. */
  async withoutHardLinks({ location }: { location: string }) {
    withoutHardLinks()
    const storage = await storageOf({ kind: 'filesystem', location })
    const race = Array.from({ length: 20 }, (_, index) => storage.save('d/same.txt', `content ${index}`))
    const names = await Promise.all(race)
    const contents = await Promise.all(names.map(async (name) => (await storage.open(name)).text()))
    await storage.save('d/same.txt', 'replaced', { ifExists: 'overwrite', metadata: { by: 'me' } })
    const refused = await outcomeOf(storage.save('d/same.txt', 'no', { ifExists: 'error' }))
    const long = `${'q'.repeat(160)}.pdf`
    const apart = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        outcomeOf(storage.save(`rooms/${index}/${long}`, 'x', { ifExists: 'error' })),
      ),
    )
    const moved = await storage.move('d/same.txt', 'e/moved.txt')
    const { metadata } = await storage.stat(moved)
    const text = await (await storage.open(moved)).text()
    const sourceExists = await storage.exists('d/same.txt')
    return { names, contents, refused, apart, moved, metadata, text, sourceExists }
  },

  /** Moves the only file of a folder, which is replaced just before it goes; its folder goes as well. */
  async moveOfReplaced({ location, hardLinks }: { location: string; hardLinks: boolean }) {
    const folder = join(location, 'docs')
    const path = join(folder, 'x.txt')
    replacedBeforeRemoval(path, 'newer', () => hardLinks && rmdirSync(folder))
    if (!hardLinks) withoutHardLinks()
    const storage = await storageOf({ kind: 'filesystem', location })
    await storage.save('docs/x.txt', 'moved')
    return storage.move('docs/x.txt', 'y.txt')
  },

  /** Every kind of write, by a user who may not write there. */
  async writeAsNobody({ location }: { location: string }) {
    const storage = await storageOf({ kind: 'filesystem', location })
    becomeNobody()
    return {
      save: await outcomeOf(storage.save('x.txt', 'x')),
      delete: await outcomeOf(storage.delete('there.txt').then(() => '')),
      move: await outcomeOf(storage.move('there.txt', 'y.txt')),
      open: await outcomeOf(storage.open('there.txt').then((file) => file.text())),
    }
  },

  /** The diagnosis of a folder whose disk, or whose rights, lack something. */
  async diagnoseDisk({ location, lacks }: { location: string; lacks: keyof typeof DISKS }) {
    DISKS[lacks]()
    const storage = await storageOf({ kind: 'filesystem', location })
    if (lacks === 'rights') becomeNobody()
    const { diagnose } = await import('stowage')
    const results: CheckResult[] = []
    for await (const result of diagnose(storage)) results.push(result)
    return results
  },

  /** Deletes a folder, by a user who may not delete all of it. */
  async deletePrefixAsNobody({ location, prefix }: { location: string; prefix: string }) {
    const storage = await storageOf({ kind: 'filesystem', location, fsync: false })
    becomeNobody()
    return outcomeOf(storage.deletePrefix(prefix).then(() => ''))
  },

  /** What a user may list who may not read everything: the names that came, and how it ended. */
  async listAsNobody({ location }: { location: string }) {
    const storage = await storageOf({ kind: 'filesystem', location })
    becomeNobody()
    const names: string[] = []
    const list = async () => {
      for await (const { name } of storage.list()) names.push(name)
      return 'end'
    }
    return { names, outcome: await outcomeOf(list()) }
  },

  /** Saves a stream and reads it back; by how many bytes the process grew at most, and what it read. */
  async streamThrough({ storage, bytes }: { storage: StorageChoice; bytes: number }) {
    const target = await storageOf(storage)
    await target.save('warm-up.bin', patternOf(9 * 1024 * 1024), { ifExists: 'overwrite' })
    await (await target.open('warm-up.bin')).bytes()
    const before = process.memoryUsage.rss()
    await target.save('big.bin', patternOf(bytes))
    const afterSave = process.resourceUsage().maxRSS * 1024
    let read = 0
    let wrong = 0
    for await (const chunk of await target.open('big.bin')) {
      // One byte of each chunk tells whether it is in its place.
      if (chunk[0] !== read % 251) wrong += 1
      read += chunk.byteLength
    }
    const afterRead = process.resourceUsage().maxRSS * 1024
    return { grownBySave: afterSave - before, grownByRead: afterRead - before, read, wrong }
  },

  /** Receives one file of a form in pieces of 64 KiB, each with memory of its own. */
  async receiveForm({ storage, bytes }: { storage: StorageChoice; bytes: number }) {
    const target = await storageOf(storage)
    const { receiveUpload } = await import('stowage/http')
    const receive = async (length: number) => {
      let left = length
      const head = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n'
      const pieces = (function* () {
        yield Buffer.from(head)
        for (; left > 0; left -= 65_536) yield Buffer.alloc(65_536, left % 251)
        yield Buffer.from('\r\n--b--')
      })()
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          const { done, value } = pieces.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
      })
      const headers = { 'content-type': 'multipart/form-data; boundary=b' }
      // Node's types do not know `duplex`.
      const request = new Request('http://a/', {
        method: 'POST',
        headers,
        body,
        duplex: 'half',
      } as RequestInit)
      const { files } = await receiveUpload(target, request, { name: ({ filename }) => filename })
      return files[0]?.size
    }
    await receive(9 * 1024 * 1024)
    const before = process.memoryUsage.rss()
    const size = await receive(bytes)
    return { size, grown: process.resourceUsage().maxRSS * 1024 - before }
  },

  /** Replaces one file for a while, by versions with metadata and without. */
  async overwriteForAWhile({ storage, who, ms }: { storage: StorageChoice; who: string; ms: number }) {
    const target = await storageOf(storage)
    const end = Date.now() + ms
    let saves = 0
    for (; Date.now() < end; saves++) {
      const plain = saves % 3 === 0
      const version = plain ? 'plain' : `${who}-${saves}`
      const content = contentOf(version, saves)
      await target.save('d/hot.txt', content, {
        ifExists: 'overwrite',
        ...(!plain && { metadata: { version, size: String(content.length) } }),
      })
    }
    return { saves }
  },

  /** Reads the same file meanwhile; tells what did not belong together. */
  async readForAWhile({ storage, ms }: { storage: StorageChoice; ms: number }) {
    const target = await storageOf(storage)
    const end = Date.now() + ms
    const mismatches: string[] = []
    let reads = 0
    for (; Date.now() < end; reads++) {
      const file = await target.open('d/hot.txt')
      const text = await file.text()
      const version = text.slice(0, text.indexOf('\n'))
      const expected = version === 'plain' ? undefined : version
      if (file.metadata.version !== expected || text.length !== file.size) {
        mismatches.push(`open: ${version} with ${JSON.stringify(file.metadata)}`)
      }
      const { metadata, size } = await target.stat('d/hot.txt')
      if (metadata.size !== undefined && metadata.size !== String(size)) mismatches.push(`stat: ${size}`)
    }
    return { reads, mismatches }
  },

  /** Saves files of its own for a while in a folder that others keep pruning; tells what got lost. */
  async saveAmongPrunes({ storage, who, ms }: { storage: StorageChoice; who: string; ms: number }) {
    const target = await storageOf(storage)
    const end = Date.now() + ms
    const lost: string[] = []
    let saves = 0
    for (; Date.now() < end; saves++) {
      const name = await target.save(`deep/er/still/${who}-${saves}.txt`, textOf(who, saves), {
        ifExists: 'error',
        ...(saves % 2 === 0 && { metadata: { who } }),
      })
      const file = await target.open(name).catch((error) => void lost.push(`${name}: ${error}`))
      if (file && (await file.text()) !== textOf(who, saves)) lost.push(`${name}: other content`)
      await target.delete(name)
    }
    return { saves, lost }
  },

  /** Empties a folder as a whole for a while, in which others save. */
  async deletePrefixForAWhile({
    storage,
    prefix,
    ms,
  }: {
    storage: StorageChoice
    prefix: string
    ms: number
  }) {
    const target = await storageOf(storage)
    const end = Date.now() + ms
    let deleted = 0
    while (Date.now() < end) deleted += (await target.deletePrefix(prefix)).deleted
    return { deleted }
  },

  /** Saves for a while in a folder that is deleted as a whole again and again; only an error is a loss. */
  async saveAmongDeletes({ storage, prefix, ms }: { storage: StorageChoice; prefix: string; ms: number }) {
    const target = await storageOf(storage)
    const end = Date.now() + ms
    const errors: string[] = []
    let saves = 0
    for (; Date.now() < end; saves++) {
      await target.save(`${prefix}/a/b/${saves}.txt`, 'x').catch((error) => void errors.push(String(error)))
    }
    return { saves, errors }
  },

  /** A mixed load; what the process weighed meanwhile. */
  async load({
    storage,
    ms,
    samples,
    seed,
  }: {
    storage: StorageChoice
    ms: number
    samples: number
    seed: number
  }) {
    const { runLoad } = await import('../../chaos/load.js')
    return runLoad(await storageOf(storage), ms, samples, seed)
  },
}

/** Gives up the rights of root, for which no permission counts. */
function becomeNobody(): void {
  if (process.getuid?.() !== 0) return
  process.setgid?.(65_534)
  process.setuid?.(65_534)
}

/** The bytes that the R2 stand-in makes up where it does not keep bodies. */
async function* patternOf(bytes: number) {
  const { patternChunks } = await import('../../../src/testing/local-r2/content.js')
  yield* patternChunks(0, bytes)
}

function textOf(who: string, index: number): string {
  return `content ${who} ${index}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name = '', argument = 'null'] = process.argv.slice(2)
  const program = Object.entries(programs).find(([key]) => key === name)?.[1]
  if (program === undefined) throw new Error(`no program ${name}`)
  console.log('ready')
  await once(process.stdin, 'data')
  const result = await (program as (argument: unknown) => Promise<unknown>)(JSON.parse(argument))
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}
