import { Readable } from 'node:stream'
import { crypto } from '../crypto.js'
import {
  type Entry,
  type FileState,
  type OpenedFile,
  type ReadRequest,
  type SignedAddress,
  type SignedGrant,
  type SignedRequest,
  type SignRequest,
  type SignUploadRequest,
  type StageCopyRequest,
  type Staged,
  type StageRequest,
  type StorageDriver,
  sourceReplaced,
} from '../driver.js'
import { Problem } from '../errors.js'
import { pickAttributes } from '../headers.js'
import { compareNames, type Folder, MAX_NAME_BYTES, type Name } from '../names.js'
import { resolveRange } from '../ranges.js'
import { nextTurn } from '../timers.js'
import type { Attributes, ListedFile } from '../types.js'
import { type LocalSigner, type LocalSigningOptions, localSigner } from './local-signer.js'
import { MemoryUploads } from './memory-uploads.js'
import { joinUrl } from './options.js'
import { withoutMark } from './upload-mark.js'

interface StoredBytes {
  readonly bytes: Buffer
  readonly state: FileState
}

/** Files in a `Map`. */
export class MemoryDriver implements StorageDriver {
  readonly label = 'MemoryStorage'
  readonly nameLimit = MAX_NAME_BYTES
  readonly uploads: MemoryUploads
  readonly #files = new Map<string, StoredBytes>()
  readonly #baseUrl: string
  readonly #signer: LocalSigner

  constructor(baseUrl: string, signing: LocalSigningOptions) {
    this.#baseUrl = baseUrl
    this.#signer = localSigner(baseUrl, signing)
    this.uploads = new MemoryUploads(
      this.#signer,
      (request) => this.stage(request),
      (name) => this.#files.get(name)?.state,
    )
  }

  async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of body.chunks(signal)) {
      chunks.push(chunk)
      size += chunk.byteLength
      progress(size)
      // An endless generator must not starve the timers, and with them its abort.
      if (chunks.length % 64 === 0) await nextTurn()
    }
    progress(size)
    const file = toFile(Buffer.concat(chunks), attributes)
    return this.#staged(() => file)
  }

  async stageCopy({ from, move, version, contentType }: StageCopyRequest): Promise<Staged> {
    this.#get(from)
    return this.#staged(() => {
      const { bytes, state } = this.#get(from)
      if (version !== undefined && state.etag !== version) throw sourceReplaced()
      if (move) this.#files.delete(from)
      return toFile(bytes, contentType === undefined ? state : { ...state, contentType })
    })
  }

  #staged(take: () => StoredBytes): Staged {
    return {
      publish: async (name, createOnly) => {
        if (createOnly && this.#files.has(name)) return false
        this.#files.set(name, take())
        return true
      },
      discard: async () => {},
    }
  }

  async read({ name, range }: ReadRequest): Promise<OpenedFile> {
    const { bytes, state } = this.#get(name)
    const delivered = resolveRange(range, bytes.byteLength)
    // A copy: callers may write into what they get.
    const content = () => Buffer.from(bytes.subarray(delivered.offset, delivered.offset + delivered.length))
    return {
      state: copyState(state),
      range: delivered,
      body: {
        unreadTimeout: 0, // It holds nothing.
        bytes: async () => content(),
        stream: () => Readable.from(delivered.length > 0 ? [content()] : [], { objectMode: false }),
        close: async () => {},
      },
    }
  }

  async head(name: Name): Promise<FileState | null> {
    const file = this.#files.get(name)
    return file ? copyState(file.state) : null
  }

  async remove(names: readonly Name[]): Promise<[]> {
    for (const name of names) this.#files.delete(name)
    return []
  }

  async removeBelow(folder: Name, dryRun: boolean): Promise<number> {
    const names = this.#namesBelow(folder)
    if (!dryRun) for (const name of names) this.#files.delete(name)
    return names.length
  }

  /** A crash leaves nothing of it; only direct uploads can be given up. */
  async sweep(folder: Folder, before: Date): Promise<number> {
    return folder === '' ? this.uploads.sweep(before) : 0
  }

  async *list(folder: Folder, _signal?: AbortSignal, after = ''): AsyncIterable<readonly ListedFile[]> {
    for (const name of this.#namesBelow(folder)) {
      if (compareNames(name, after) <= 0) continue
      const file = this.#files.get(name)
      if (!file) continue // Deleted meanwhile.
      const { size, etag, lastModified } = file.state
      yield [{ name, size, etag, lastModified: new Date(lastModified) }]
    }
  }

  async *listdir(folder: Folder): AsyncIterable<readonly Entry[]> {
    const start = folder === '' ? 0 : folder.length + 1
    let lastDirectory: string | undefined
    for (const name of this.#namesBelow(folder)) {
      const slash = name.indexOf('/', start)
      const directory = slash === -1 ? undefined : name.slice(0, slash)
      if (directory === undefined) yield [{ kind: 'file', name }]
      else if (directory !== lastDirectory) yield [{ kind: 'directory', name: directory }]
      lastDirectory = directory
    }
  }

  locate(name: Name): string {
    return joinUrl(this.#baseUrl, name)
  }

  async sign(request: SignRequest): Promise<string> {
    return this.#signer.sign(request)
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    return this.#signer.signUpload(request)
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return this.#signer.verify(address)
  }

  classify(error: unknown): Problem {
    return new Problem('Unknown', error instanceof Error ? error.message : String(error), { cause: error })
  }

  #get(name: Name): StoredBytes {
    const file = this.#files.get(name)
    if (!file) throw new Problem('NotFound', 'there is no such file')
    return file
  }

  /** In the order of listings. */
  #namesBelow(folder: Folder): string[] {
    const start = folder === '' ? '' : `${folder}/`
    return [...this.#files.keys()].filter((name) => name.startsWith(start)).sort(compareNames)
  }
}

function toFile(bytes: Buffer, attributes: Attributes): StoredBytes {
  const etag = `"${crypto().createHash('md5').update(bytes).digest('hex')}"`
  return {
    bytes,
    state: { size: bytes.byteLength, etag, lastModified: new Date(), ...pickAttributes(attributes) },
  }
}

/** A copy for callers: a change to it changes no file. */
function copyState(state: FileState): FileState {
  const { metadata } = withoutMark(state)
  return { ...state, lastModified: new Date(state.lastModified), metadata: { ...metadata } }
}
