import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Problem } from '../errors.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
} from '../hooks.js'
import { type Attributes, pickAttributes } from '../metadata.js'
import { compareNames, type Folder, type Name } from '../names.js'
import { resolveRange } from '../ranges.js'
import { Storage } from '../storage.js'
import { joinUrl, toBaseUrl, toPrefix } from './options.js'

export interface MemoryStorageOptions {
  /** What `url()` puts before a name. Default `/uploads/`. */
  baseUrl?: string | undefined
  /** A folder that all names are kept in, out of sight. Default none. */
  prefix?: string | undefined
}

interface StoredBytes {
  readonly bytes: Buffer
  readonly state: FileState
}

/**
 * Files in the memory of this process: the reference for what the other backends do, and the fastest one for an
 * application's own tests. Folders do not exist by themselves, as on R2 and S3.
 */
export class MemoryStorage extends Storage {
  protected readonly label = 'MemoryStorage'
  readonly #files = new Map<string, StoredBytes>()
  readonly #baseUrl: string
  readonly #prefix: string

  constructor(options: MemoryStorageOptions = {}) {
    super()
    this.#baseUrl = toBaseUrl(options.baseUrl)
    this.#prefix = toPrefix(options.prefix)
  }

  protected override get nameLimit(): number {
    return super.nameLimit - Buffer.byteLength(this.#prefix)
  }

  protected async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body.chunks(signal)) {
      chunks.push(chunk)
      size += chunk.byteLength
      progress(size)
      // An endless generator must not keep timers, and with them its abort, from their turn.
      if (chunks.length % 64 === 0) await setImmediate()
    }
    progress(size)
    const file = toFile(Buffer.concat(chunks), attributes)
    return this.#staged(() => file)
  }

  protected async stageCopy({ from, move }: StageCopyRequest): Promise<Staged> {
    this.#get(from)
    return this.#staged(() => {
      const { bytes, state } = this.#get(from)
      if (move) this.#files.delete(this.#key(from))
      return toFile(bytes, state)
    })
  }

  #staged(take: () => StoredBytes): Staged {
    return {
      publish: async (name, createOnly) => {
        const key = this.#key(name)
        if (createOnly && this.#files.has(key)) return false
        this.#files.set(key, take())
        return true
      },
      discard: async () => {},
    }
  }

  protected async read({ name, range }: ReadRequest): Promise<OpenedFile> {
    const { bytes, state } = this.#get(name)
    const delivered = resolveRange(range, bytes.byteLength)
    // A copy: callers may write into what they get.
    const content = () => Buffer.from(bytes.subarray(delivered.offset, delivered.offset + delivered.length))
    return {
      state: copyState(state),
      range: delivered,
      body: {
        bytes: async () => content(),
        stream: () => Readable.from(delivered.length > 0 ? [content()] : [], { objectMode: false }),
        close: async () => {},
      },
    }
  }

  protected async head(name: Name): Promise<FileState | null> {
    const file = this.#files.get(this.#key(name))
    return file ? copyState(file.state) : null
  }

  protected async remove(names: readonly Name[]): Promise<[]> {
    for (const name of names) this.#files.delete(this.#key(name))
    return []
  }

  protected async removeBelow(folder: Name, dryRun: boolean): Promise<number> {
    const keys = this.#keysBelow(folder)
    if (!dryRun) for (const key of keys) this.#files.delete(key)
    return keys.length
  }

  protected async *entries(folder: Folder, recursive: boolean): AsyncIterable<readonly Entry[]> {
    const start = folder === '' ? this.#prefix.length : this.#key(folder).length + 1
    let lastDirectory: string | undefined
    for (const key of this.#keysBelow(folder).sort(compareNames)) {
      const name = key.slice(this.#prefix.length)
      const slash = key.indexOf('/', start)
      const file = this.#files.get(key)
      if (!recursive && slash !== -1) {
        const directory = key.slice(this.#prefix.length, slash)
        if (directory !== lastDirectory) yield [{ kind: 'directory', name: directory }]
        lastDirectory = directory
      } else if (file) {
        const { size, etag, lastModified } = file.state
        yield [{ kind: 'file', name, size, etag, lastModified: new Date(lastModified) }]
      }
    }
  }

  protected locate(name: Name): string {
    return joinUrl(this.#baseUrl, this.#key(name))
  }

  protected async sign(): Promise<never> {
    throw new Problem('Unsupported', 'MemoryStorage has no signed addresses')
  }

  protected async signUpload(): Promise<never> {
    throw new Problem('Unsupported', 'MemoryStorage has no signed addresses')
  }

  protected classify(error: unknown): Problem {
    return new Problem('Unknown', error instanceof Error ? error.message : String(error), { cause: error })
  }

  #key(name: Name): string {
    return this.#prefix + name
  }

  #get(name: Name): StoredBytes {
    const file = this.#files.get(this.#key(name))
    if (!file) throw new Problem('NotFound', 'there is no such file')
    return file
  }

  #keysBelow(folder: Folder): string[] {
    const start = folder === '' ? this.#prefix : `${this.#key(folder)}/`
    return [...this.#files.keys()].filter((key) => key.startsWith(start))
  }
}

function toFile(bytes: Buffer, attributes: Attributes): StoredBytes {
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  return {
    bytes,
    state: { size: bytes.byteLength, etag, lastModified: new Date(), ...pickAttributes(attributes) },
  }
}

/** What callers get is theirs: changing it changes no file. */
function copyState(state: FileState): FileState {
  return { ...state, lastModified: new Date(state.lastModified), metadata: { ...state.metadata } }
}
