/** What the processes of an application do while its files move to another storage. */
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { R2StorageOptions } from 'stowage'

export interface MoveArguments {
  readonly location: string
  readonly r2: R2StorageOptions
  readonly count: number
  /** Whether it also deletes moved files from the folder, as an operator would. */
  readonly deletes: boolean
  /** It goes on until this file is there. */
  readonly until: string
}

export function movedName(index: number): string {
  return `documents/${index % 13}/${index}.txt`
}

/** Of many sizes. */
export function movedContent(index: number): string {
  return `${index} `.repeat(1 + ((index * 7919) % 20_000))
}

const TOGETHER = 10

/** Reads every file in every way, over and over. Returns what went wrong, and how many reads did not. */
export async function readWhileMoved({ location, r2, count, deletes, until }: MoveArguments) {
  const { FileSystemStorage, R2Storage, readThrough } = await import('stowage')
  const [newer, older] = [new R2Storage(r2), new FileSystemStorage({ location })]
  const storage = readThrough(newer, older)
  const failures: string[] = []
  let reads = 0
  const expectTrue = (ok: boolean, what: string) => {
    reads += 1
    if (!ok) failures.push(what)
  }
  const readOne = async (index: number) => {
    const name = movedName(index)
    const content = movedContent(index)
    try {
      expectTrue((await (await storage.open(name)).text()) === content, `${name} has other bytes`)
      expectTrue((await storage.stat(name)).size === content.length, `${name} has another size`)
      expectTrue(await storage.exists(name), `${name} does not exist`)
      if (deletes && (await newer.exists(name))) await older.delete(name)
    } catch (error) {
      failures.push(`${name}: ${error}`)
    }
  }
  const list = async () => {
    const listed: string[] = []
    for await (const { name } of storage.list('documents')) listed.push(name)
    expectTrue(listed.length === count && new Set(listed).size === count, `${listed.length} files are listed`)
  }
  const isOver = () => existsSync(until) || failures.length >= 10
  for (let start = 0; !isOver(); start += TOGETHER) {
    await Promise.all(Array.from({ length: TOGETHER }, (_, index) => readOne((start + index) % count)))
    await list()
    await sleep(10) // The server is for the move, too.
  }
  return { reads, failures: failures.slice(0, 10) }
}
