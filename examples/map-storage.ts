import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { type FileInfo, Problem, Storage } from 'stowage'

/** What the hooks are given, as `Storage` declares it: all of it is checked and complete. */
type StageRequest = Parameters<Storage['stage']>[0]
type StageCopyRequest = Parameters<Storage['stageCopy']>[0]
type ReadRequest = Parameters<Storage['read']>[0]

interface File {
  bytes: Buffer
  state: Omit<FileInfo, 'name'>
}

/** A complete backend on a `Map`: it does the I/O, everything else is done above it. */
export class MapStorage extends Storage {
  protected readonly label = 'MapStorage'
  readonly #files = new Map<string, File>()

  // #region stage
  /** Takes the content in, where nobody sees it yet. */
  protected async stage({ body, attributes, signal, progress }: StageRequest) {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body.chunks(signal)) {
      chunks.push(chunk)
      size += chunk.byteLength
      progress(size)
    }
    return this.#staged(() => toFile(Buffer.concat(chunks), attributes))
  }

  /** Makes it visible in one step, and says false where the name is taken: `Storage` comes back with another. */
  #staged(take: () => File) {
    return {
      publish: async (name: string, createOnly: boolean) => {
        if (createOnly && this.#files.has(name)) return false
        this.#files.set(name, take())
        return true
      },
      discard: async () => {},
    }
  }
  // #endregion

  protected async stageCopy({ from, move }: StageCopyRequest) {
    this.#get(from)
    return this.#staged(() => {
      const { bytes, state } = this.#get(from)
      if (move) this.#files.delete(from)
      return toFile(bytes, state)
    })
  }

  protected async read({ name, range }: ReadRequest) {
    const { bytes, state } = this.#get(name)
    const size = bytes.byteLength
    const asked = range?.offset ?? 0
    const offset = asked < 0 ? Math.max(0, size + asked) : asked
    if (range && offset >= size) throw new Problem('RangeNotSatisfiable', `the file has ${size} bytes`)
    const part = Buffer.from(bytes.subarray(offset, offset + (range?.length ?? size)))
    const stream = () => Readable.from(part.byteLength > 0 ? [part] : [], { objectMode: false })
    const body = { bytes: async () => part, stream, close: async () => {} }
    return { state: structuredClone(state), range: { offset, length: part.byteLength }, body }
  }

  protected async head(name: string) {
    return structuredClone(this.#files.get(name)?.state) ?? null
  }

  protected async remove(names: readonly string[]) {
    for (const name of names) this.#files.delete(name)
    return []
  }

  protected async removeBelow(folder: string, dryRun: boolean) {
    const names = this.#below(`${folder}/`)
    if (!dryRun) await this.remove(names)
    return names.length
  }

  protected async *entries(folder: string, recursive: boolean) {
    const start = folder === '' ? 0 : folder.length + 1
    const names = this.#below(start === 0 ? '' : `${folder}/`)
    const isFile = (name: string) => recursive || !name.includes('/', start)
    const toEntry = (name: string) => (isFile(name) ? name : name.slice(0, name.indexOf('/', start) + 1))
    for (const name of new Set(names.map(toEntry))) {
      if (name.endsWith('/')) yield [{ kind: 'directory' as const, name: name.slice(0, -1) }]
      else yield [{ kind: 'file' as const, name, ...structuredClone(this.#get(name).state) }]
    }
  }

  protected locate(name: string) {
    return `/uploads/${name.split('/').map(encodeURIComponent).join('/')}`
  }

  protected async sign(): Promise<never> {
    throw new Problem('Unsupported', 'MapStorage has no signed addresses')
  }

  protected async signUpload(): Promise<never> {
    return this.sign()
  }

  protected classify(error: unknown) {
    return new Problem('Unknown', String(error), { cause: error })
  }

  #get(name: string): File {
    const file = this.#files.get(name)
    if (!file) throw new Problem('NotFound', 'there is no such file')
    return file
  }

  /** In the order of their UTF-8 bytes. */
  #below(start: string): string[] {
    const names = [...this.#files.keys()].filter((name) => name.startsWith(start))
    return names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  }
}

function toFile(bytes: Buffer, attributes: StageRequest['attributes']): File {
  const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
  return { bytes, state: { ...attributes, size: bytes.byteLength, etag, lastModified: new Date() } }
}
