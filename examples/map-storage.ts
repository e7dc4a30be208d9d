import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  type Attributes,
  compareNames,
  type FileState,
  type Folder,
  type Name,
  Problem,
  type ReadRequest,
  resolveRange,
  type StageCopyRequest,
  type StageRequest,
  Storage,
  type StorageDriver,
} from 'stowage'

/** A storage of your own is its driver and this class. */
export class MapStorage extends Storage {
  constructor() {
    super(new MapDriver())
  }
}

interface StoredBytes {
  bytes: Buffer
  state: FileState
}

/** A complete backend on a `Map`: it does the I/O, `Storage` does everything else. */
class MapDriver implements StorageDriver {
  readonly label = 'MapStorage'
  readonly nameLimit = 1024
  readonly #files = new Map<string, StoredBytes>()

  // #region stage
  /** Takes the content in, where nobody sees it yet. */
  async stage({ body, attributes, signal, progress }: StageRequest) {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body.chunks(signal)) {
      chunks.push(chunk)
      size += chunk.byteLength
      progress(size)
    }
    return this.#staged(() => toFile(Buffer.concat(chunks), attributes))
  }

  /** Makes it visible in one step. Returns false where the name is taken: `Storage` calls again with another name. */
  #staged(take: () => StoredBytes) {
    return {
      publish: async (name: Name, createOnly: boolean) => {
        if (createOnly && this.#files.has(name)) return false
        this.#files.set(name, take())
        return true
      },
      discard: async () => {},
    }
  }
  // #endregion

  async stageCopy({ from, move, version, contentType }: StageCopyRequest) {
    this.#get(from)
    return this.#staged(() => {
      const { bytes, state } = this.#get(from)
      if (version !== undefined && state.etag !== version)
        throw new Problem('Unavailable', 'the file was replaced')
      if (move) this.#files.delete(from)
      return toFile(bytes, { ...state, contentType: contentType ?? state.contentType })
    })
  }

  async read({ name, range }: ReadRequest) {
    const { bytes, state } = this.#get(name)
    const { offset, length } = resolveRange(range, bytes.byteLength)
    const part = Buffer.from(bytes.subarray(offset, offset + length))
    const stream = () => Readable.from(length > 0 ? [part] : [], { objectMode: false })
    const body = { bytes: async () => part, stream, close: async () => {} }
    return { state: structuredClone(state), range: { offset, length }, body }
  }

  async head(name: Name) {
    return structuredClone(this.#files.get(name)?.state) ?? null
  }

  async remove(names: readonly string[]) {
    for (const name of names) this.#files.delete(name)
    return []
  }

  async removeBelow(folder: Name, dryRun: boolean) {
    const names = this.#below(folder)
    if (!dryRun) await this.remove(names)
    return names.length
  }

  async *list(folder: Folder) {
    for (const name of this.#below(folder)) yield [{ name, ...structuredClone(this.#get(name).state) }]
  }

  async *listdir(folder: Folder) {
    const start = folder === '' ? 0 : folder.length + 1
    const isFile = (name: string) => !name.includes('/', start)
    const entries = this.#below(folder).map((name) =>
      isFile(name) ? name : name.slice(0, name.indexOf('/', start) + 1),
    )
    for (const name of new Set(entries)) {
      if (name.endsWith('/')) yield [{ kind: 'directory' as const, name: name.slice(0, -1) }]
      else yield [{ kind: 'file' as const, name }]
    }
  }

  locate(name: Name) {
    return `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`
  }

  async sign(): Promise<never> {
    throw new Problem('Unsupported', 'MapStorage has no signed addresses')
  }

  async signUpload(): Promise<never> {
    return this.sign()
  }

  classify(error: unknown) {
    return new Problem('Unknown', 'the map failed', { cause: error })
  }

  #get(name: string): StoredBytes {
    const file = this.#files.get(name)
    if (!file) throw new Problem('NotFound', 'there is no such file')
    return file
  }

  #below(folder: Folder): string[] {
    const start = folder === '' ? '' : `${folder}/`
    return [...this.#files.keys()].filter((name) => name.startsWith(start)).sort(compareNames)
  }
}

function toFile(bytes: Buffer, attributes: Attributes): StoredBytes {
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  return { bytes, state: { ...attributes, size: bytes.byteLength, etag, lastModified: new Date() } }
}
