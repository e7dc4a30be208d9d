import { join } from 'node:path'
import { Problem } from '../../errors.js'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import { sleep } from '../../timers.js'
import type { Attributes } from '../../types.js'
import { noSuchUpload, type UploadedPart } from '../../upload-driver.js'
import type { Claim } from '../claimed-upload.js'
import type { Context } from './context.js'
import { eachOf } from './each-of.js'
import { examinePart } from './part-file.js'
import type { Root } from './root.js'
import { lstatIfThere, readText, rename, rmdir, unlink, writeAll } from './syscalls.js'
import { hasCode, tolerate } from './system-errors.js'
import { writeTemp } from './temp-file.js'
import { readdirIfThere } from './walk.js'

/** The description of an upload: all but its parts. */
export interface AboutUpload {
  readonly name: Name
  readonly attributes: Attributes
}

/** As ids are made: no path can be hidden in one. */
const ID = /^[\w-]{22}$/
const NUMBER = /^[1-9]\d{0,4}$/

/** Milliseconds between looks at a completion that has taken the upload, and how often it is looked at. */
const CLAIM_WAIT = 250
const CLAIM_LOOKS = 20

function uploadsFolder(root: Root): string {
  return join(root.path, RESERVED_SEGMENT, 'uploads')
}

/**
 * The folder of one upload: a file for each part by its number, and `about.json`. The upload exists for as long as that
 * is there.
 */
export class UploadFolder {
  readonly #context: Context
  readonly #path: string

  /** @throws {Problem} `NotFound` if the text is not an id. */
  constructor(context: Context, id: string) {
    if (!ID.test(id)) throw noSuchUpload()
    this.#context = context
    this.#path = join(uploadsFolder(context.root), id)
  }

  get #about(): string {
    return join(this.#path, 'about.json')
  }

  /** Where `about.json` is while the upload is published. */
  get #taken(): string {
    return join(this.#path, 'taken.json')
  }

  pathOf(number: number): string {
    return join(this.#path, String(number))
  }

  async create(about: AboutUpload): Promise<void> {
    const { root } = this.#context
    const made: string[] = []
    await root.makeDirectory(this.#path, made)
    try {
      const text = Buffer.from(JSON.stringify(about))
      const { path } = await writeTemp(this.#context, (fd) => writeAll(fd, text))
      await moveTo(path, this.#about)
      await this.#sync()
    } catch (error) {
      await this.remove()
      await root.unmake(made)
      throw error
    }
  }

  /** @throws {Problem} `NotFound` where the upload does not exist, or is of another name. */
  async read(name: Name): Promise<AboutUpload> {
    const text = await this.#readAbout()
    if (text === null) throw noSuchUpload()
    const about = parse(text)
    if (about.name !== name) throw noSuchUpload()
    return about
  }

  /** Waits for a completion that has taken the upload. One that does not end has died: it can be completed again. */
  async #readAbout(): Promise<string | null> {
    for (let look = 0; look < CLAIM_LOOKS; look++) {
      const text = await readText(this.#about)
      if (text !== null) return text
      if ((await lstatIfThere(this.#taken)) === null) return readText(this.#about)
      await sleep(CLAIM_WAIT)
    }
    await this.claim.giveBack()
    return readText(this.#about)
  }

  async list(): Promise<UploadedPart[]> {
    const found: UploadedPart[] = []
    const entries = await readdirIfThere(this.#path)
    await eachOf(
      entries.filter((entry) => entry.isFile() && NUMBER.test(entry.name)),
      async ({ name }) => {
        const part = await examinePart(join(this.#path, name), Number(name))
        if (part) found.push(part)
      },
    )
    return found.sort((a, b) => a.number - b.number)
  }

  /** Gives a part that was written its place, which one of the same number may have. */
  async put(path: string, number: number): Promise<void> {
    await moveTo(path, this.pathOf(number)).catch(asMissing)
    await this.#sync()
  }

  async #sync(): Promise<void> {
    if (this.#context.fsync) await this.#context.root.sync(this.#path)
  }

  /** How a completion takes the upload: by one rename. */
  get claim(): Claim {
    return {
      take: () => this.#take(),
      giveBack: () => rename(this.#taken, this.#about).catch(() => {}),
      remove: () => this.remove(),
    }
  }

  async #take(): Promise<void> {
    for (;;) {
      try {
        return await rename(this.#about, this.#taken)
      } catch (error) {
        if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error
        if ((await this.#readAbout()) === null) throw noSuchUpload()
      }
    }
  }

  /** Discards all of it. Whatever is left is found by the sweep. */
  async remove(): Promise<void> {
    // If this process dies in the midst, nobody takes what is left for an upload.
    for (const path of [this.#about, this.#taken]) await unlink(path).catch(() => {})
    const entries = await readdirIfThere(this.#path).catch(() => [])
    await eachOf(entries, ({ name }) => unlink(join(this.#path, name)).catch(() => {}))
    await rmdir(this.#path).catch(() => {})
  }

  /** Discards the upload if nothing has come to it since. */
  async removeIfOlder(before: number): Promise<boolean> {
    const stats = await lstatIfThere(this.#path)
    if (stats === null || Number(stats.mtimeMs) >= before) return false
    await this.remove()
    return true
  }
}

/** Discards the uploads without a change since a time. Returns their number. */
export async function sweepUploads(context: Context, before: number): Promise<number> {
  let removed = 0
  for (const entry of await readdirIfThere(uploadsFolder(context.root))) {
    if (!entry.isDirectory() || !ID.test(entry.name)) continue
    if (await new UploadFolder(context, entry.name).removeIfOlder(before)) removed += 1
  }
  await tolerate(rmdir(uploadsFolder(context.root)), 'ENOENT', 'ENOTEMPTY', 'EEXIST')
  return removed
}

/** Moves a temporary file to its place. On failure it is gone. */
async function moveTo(path: string, place: string): Promise<void> {
  try {
    await rename(path, place)
  } catch (error) {
    await unlink(path).catch(() => {})
    throw error
  }
}

function asMissing(error: unknown): never {
  throw hasCode(error, 'ENOENT', 'ENOTDIR') ? noSuchUpload() : error
}

function parse(text: string): AboutUpload {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Problem('Corrupt', 'the description of the upload is damaged', { cause })
  }
}
