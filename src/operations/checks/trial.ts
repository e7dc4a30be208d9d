import { crypto } from '../../crypto.js'
import type { Folder } from '../../names.js'
import { toFolder } from '../../names.js'
import type { Storage } from '../../storage.js'
import type { FileInfo } from '../../types.js'

/** Bytes of the file that is written and read. */
const SIZE = 4096
const TYPE = 'text/plain'
const LANGUAGE = 'en'
const METADATA = { note: 'zwölf Boxkämpfer 🥊' }
/** Milliseconds that the end of a diagnosis waits for its files to go. */
const PATIENCE = 10_000

/** One diagnosis: its own folder, and what it has written there. */
export class Trial {
  readonly storage: Storage
  readonly folder: Folder
  readonly content: Buffer
  /** Names that may be there. */
  readonly written = new Set<string>()
  /** Names of files that were certainly written. */
  readonly stored = new Set<string>()

  constructor(storage: Storage) {
    this.storage = storage
    const { randomUUID, randomBytes } = crypto()
    this.folder = toFolder(`stowage-check-${randomUUID()}`, false)
    this.content = Buffer.from(randomBytes(SIZE / 2).toString('hex'))
  }

  name(base: string): string {
    return `${this.folder}/${base}`
  }

  /** Writes the content with attributes, over whatever is there. */
  async write(base: string, signal: AbortSignal): Promise<void> {
    const attributes = { contentType: TYPE, contentLanguage: LANGUAGE, metadata: METADATA }
    await this.save(base, this.content, { ...attributes, signal })
  }

  /** Writes some content. */
  async save(base: string, content: Buffer, options: Parameters<Storage['save']>[2]): Promise<void> {
    const name = this.name(base)
    this.written.add(name)
    await this.storage.save(name, content, { ...options, ifExists: 'overwrite' })
    this.stored.add(name)
  }

  /** The attributes that a file has lost. */
  lost({ size, contentType, contentLanguage, metadata }: FileInfo): string[] {
    const found = { size, contentType, contentLanguage, metadata: metadata.note }
    const expected = {
      size: this.content.byteLength,
      contentType: TYPE,
      contentLanguage: LANGUAGE,
      metadata: METADATA.note,
    }
    return Object.entries(expected).flatMap(([name, value]) =>
      Object.entries(found).some(([other, is]) => other === name && is === value) ? [] : [name],
    )
  }

  /** Deletes what was written, as far as possible, also after an abort. */
  async end(): Promise<void> {
    const signal = AbortSignal.timeout(PATIENCE)
    const deleting = [...this.written].map((name) => this.storage.delete(name, { signal }).catch(() => {}))
    const late = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    await Promise.race([Promise.all(deleting), late])
  }
}
