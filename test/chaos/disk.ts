/** A disk that keeps for certain only what was synchronised, and what it may hold after a power cut. */
import fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Change } from './child/writer.js'

interface File {
  readonly kind: 'file'
  /** Where the file itself is kept, with all of its bytes. */
  readonly attic: string
  size: number
  /** Bytes that were synchronised; undefined if the file never was. */
  synced: number | undefined
  /** Whether anything changed since. */
  dirty: boolean
}

interface Folder {
  readonly kind: 'folder'
  /** The entries that are on the disk. */
  readonly durable: Map<string, Node>
  /** What was changed since, in order; null where a name was taken away. */
  readonly pending: { name: string; node: Node | null }[]
}

type Node = File | Folder

/** Who lies: a disk, or a program, that does not synchronise what it should. */
export type Lie = 'nothing' | 'files' | 'folders'

/** How much of what was not synchronised is on the disk all the same. */
export type Luck = 'none' | 'all' | 'by folder' | 'by name'

export class Disk {
  readonly #base: string
  readonly #attic: string
  readonly #lie: Lie
  readonly #root: Folder = newFolder()
  readonly #open = new Map<number, Node | undefined>()

  /** `base` is a folder that is there for good. */
  constructor(base: string, attic: string, lie: Lie) {
    this.#base = base
    this.#attic = attic
    this.#lie = lie
  }

  apply({ call, args, result, made }: Change): void {
    const [first = '', second = ''] = args
    const file = this.#open.get(Number(first))
    switch (call) {
      case 'open':
        if (made !== undefined) this.#put(String(first), this.#newFile(made, 0))
        this.#open.set(result, this.#find(String(first)))
        return
      case 'copyFile': {
        const source = this.#find(String(first))
        if (source?.kind !== 'file' || made === undefined)
          throw new Error('a copy of something that is no file')
        this.#put(String(second), this.#newFile(made, source.size))
        return
      }
      case 'close':
        this.#open.delete(Number(first))
        return
      case 'write':
        if (file?.kind !== 'file') throw new Error('written to something that is no file')
        file.size += result
        file.dirty = true
        return
      case 'futimes':
      case 'fchmod':
        if (file?.kind === 'file') file.dirty = true
        return
      case 'fsync':
        this.#sync(file)
        return
      case 'mkdir':
        this.#put(String(first), newFolder())
        return
      case 'chmod':
        return
      case 'link':
        this.#put(String(second), this.#find(String(first)) ?? null)
        return
      case 'rename':
        this.#put(String(second), this.#find(String(first)) ?? null)
        this.#put(String(first), null)
        return
      case 'unlink':
      case 'rmdir':
        this.#put(String(first), null)
        return
      default:
        throw new Error(`${call} is not known to this disk`)
    }
  }

  #newFile(made: string, size: number): File {
    return { kind: 'file', attic: join(this.#attic, made), size, synced: undefined, dirty: true }
  }

  #sync(node: Node | undefined): void {
    if (node?.kind === 'file' && this.#lie !== 'files') {
      node.synced = node.size
      node.dirty = false
    }
    if (node?.kind === 'folder' && this.#lie !== 'folders') {
      for (const { name, node: entry } of node.pending.splice(0)) setEntry(node.durable, name, entry)
    }
  }

  #put(path: string, node: Node | null): void {
    const folder = this.#find(dirname(path))
    if (folder?.kind !== 'folder') throw new Error(`${dirname(path)} is no folder`)
    folder.pending.push({ name: basename(path), node })
  }

  /** Undefined for what lies outside of the base, such as the folder above it. */
  #find(path: string): Node | undefined {
    if (path !== this.#base && !path.startsWith(`${this.#base}/`)) return undefined
    let node: Node | undefined = this.#root
    for (const segment of path.slice(this.#base.length).split('/').filter(Boolean)) {
      node = node?.kind === 'folder' ? entriesNow(node).get(segment) : undefined
    }
    return node
  }

  /**
   * What there may be after a cut at this moment, as a list of things to make. Entries of different names are on the
   * disk or not whatever their order was; those of one name in order.
   */
  afterCut(luck: Luck, random: () => number): Remains {
    const remains: Remains = []
    const visit = (folder: Folder, path: string) => {
      const entries = new Map(folder.durable)
      const counts = new Map<string, number>()
      for (const { name } of folder.pending) counts.set(name, (counts.get(name) ?? 0) + 1)
      const whole = random() < 0.5
      for (const [name, count] of counts) {
        if (luck === 'none' || (luck === 'by folder' && !whole)) counts.set(name, 0)
        else if (luck === 'by name') counts.set(name, Math.floor(random() * (count + 1)))
      }
      for (const { name, node } of folder.pending) {
        const left = counts.get(name) ?? 0
        counts.set(name, left - 1)
        if (left > 0) setEntry(entries, name, node)
      }
      for (const [name, node] of entries) {
        const inside = path === '' ? name : `${path}/${name}`
        remains.push(node.kind === 'folder' ? { folder: inside } : fileAfterCut(inside, node, luck, random))
        if (node.kind === 'folder') visit(node, inside)
      }
    }
    visit(this.#root, '')
    return remains
  }
}

type Remains = (
  | { folder: string }
  /** `bytes` of the file in all, of which those from `good` on are not what was written. */
  | { file: string; attic: string; bytes: number; good: number; whole: boolean }
)[]

function fileAfterCut(file: string, { attic, size, synced, dirty }: File, luck: Luck, random: () => number) {
  const whole = { file, attic, bytes: size, good: size, whole: true }
  if (!dirty || luck === 'all') return whole
  // Its times may be others now, too, so it is no more the file that it was.
  const kept = synced ?? 0
  const none = { file, attic, bytes: kept, good: kept, whole: false }
  const choice = random()
  if (luck === 'none' || choice < 0.25) return none
  const some = kept + Math.floor(random() * (size - kept))
  if (choice < 0.5) return { ...none, bytes: some, good: some }
  return { ...none, bytes: size, good: choice < 0.75 ? kept : size }
}

/** Makes what a cut left. A file that is whole is the very file, with its inode and its times. */
export function build(remains: Remains, base: string): void {
  for (const each of remains) {
    if ('folder' in each) {
      fs.mkdirSync(join(base, each.folder))
      continue
    }
    const { attic, bytes, good, whole } = each
    const path = join(base, each.file)
    if (whole && fs.statSync(attic).size === bytes) fs.linkSync(attic, path)
    else fs.writeFileSync(path, fs.readFileSync(attic).subarray(0, bytes).fill(0, good))
  }
}

function newFolder(): Folder {
  return { kind: 'folder', durable: new Map(), pending: [] }
}

function entriesNow({ durable, pending }: Folder): Map<string, Node> {
  const entries = new Map(durable)
  for (const { name, node } of pending) setEntry(entries, name, node)
  return entries
}

function setEntry(entries: Map<string, Node>, name: string, node: Node | null): void {
  if (node === null) entries.delete(name)
  else entries.set(name, node)
}
