import { Readable } from 'node:stream'
import { types } from 'node:util'
import { Problem, SourceFailure } from './errors.js'
import type { AttributeSource } from './headers.js'
import { isMediaType } from './media-types.js'
import {
  bytesOf,
  describe,
  isNodeStream,
  isWebStream,
  readSource,
  releaseStream,
  type Source,
} from './source.js'
import { isStoredFile, type StoredFile } from './stored-file.js'

/** One piece of a streamed content. Strings are UTF-8. */
export type Chunk = string | Uint8Array | ArrayBuffer | ArrayBufferView

/**
 * The content of a save: text (stored as UTF-8), bytes, a `Blob` or `File`, a Node or web stream, any iterable of chunks,
 * or a file opened from a storage. A view into a larger buffer saves only its own bytes.
 */
export type Content =
  | Chunk
  | Blob
  | Readable
  | ReadableStream
  | Iterable<Chunk>
  | AsyncIterable<Chunk>
  | StoredFile

/** Milliseconds without a chunk after which a stream counts as dead. */
export const SOURCE_TIMEOUT = 300_000

/** A content that is ready to be stored. Drivers get contents only in this form. */
export interface Body {
  /** Total bytes, or undefined if unknown. */
  readonly size: number | undefined
  /** All bytes, if they are in memory already. */
  readonly bytes: Uint8Array | undefined
  /** Whether `chunks` can be called again for the same bytes. */
  readonly replayable: boolean
  /**
   * The bytes as they arrive. An error of the source is thrown as a `SourceFailure`. An abort throws the signal's
   * reason at once, even if the source stalls. Leaving the loop early releases the source.
   */
  chunks(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Adds an error listener to a stream that is read later, or never if the save is refused. Without a listener an early
 * error, such as a missing file, would end the process.
 */
export function silence(content: unknown): void {
  if (isNodeStream(content)) content.on('error', ignore)
}

/** Frees the descriptor or connection of a content that is not read to its end. */
export function abandon(content: unknown): void {
  if (isNodeStream(content)) releaseStream(content)
  else if (isStoredFile(content)) void content.close()
  else if (isWebStream(content) && !content.locked) content.cancel().catch(ignore)
}

/** The attributes that a content brings along: all of a `StoredFile`, the type of a `Blob`. */
export function defaultsOf(content: unknown): AttributeSource {
  if (isStoredFile(content)) return content
  if (isBlob(content) && isMediaType(content.type)) return { contentType: content.type }
  return {}
}

/**
 * Turns a content into a body: the only coercion. An error that the content throws is a `SourceFailure`.
 * `sourceTimeout`: milliseconds without a chunk after which a stream counts as dead; 0 waits for ever.
 */
export function toBody(content: Content, sourceTimeout: number = SOURCE_TIMEOUT): Body {
  try {
    return coerce(content, sourceTimeout)
  } catch (error) {
    throw error instanceof Problem ? error : new SourceFailure(error)
  }
}

function coerce(content: Content, timeout: number): Body {
  const ofStream = (open: () => Source, size?: number): Body => ({
    size,
    bytes: undefined,
    replayable: false,
    chunks: (signal) => readSource(open, { timeout, signal }),
  })
  if (typeof content === 'string') {
    warnOfPath(content)
    return ofBytes(Buffer.from(content))
  }
  if (types.isAnyArrayBuffer(content) || ArrayBuffer.isView(content)) return ofBytes(bytesOf(content))
  if (isStoredFile(content)) return ofStream(() => content.stream(), content.range.length)
  if (isBlob(content)) {
    return { ...ofStream(() => streamOf(content), content.size), replayable: true }
  }
  if (isNodeStream(content)) {
    if (content.readableEnded || (content.destroyed && !content.errored)) {
      throw new Problem(
        'InvalidArgument',
        'the stream was already read or closed, so there is nothing to save',
      )
    }
    return ofStream(() => content)
  }
  if (isWebStream(content)) {
    if (content.locked) throw new Problem('InvalidArgument', 'the stream is locked by another reader')
    // Node's types accept only Node's own streams.
    if (Reflect.apply(Readable.isDisturbed, undefined, [content]))
      throw new Problem('InvalidArgument', 'the stream was already read from')
    return ofStream(() => content)
  }
  if (isIterable(content)) return ofStream(() => content)
  const advice = adviceFor(content)
  throw new Problem(
    'InvalidArgument',
    `the content must be a string, bytes, a Blob, a stream or an iterable of those, not ${describe(content)}${advice === '' ? '' : `: ${advice}`}`,
  )
}

/** A body of bytes in memory. */
export function ofBytes(bytes: Uint8Array): Body {
  return {
    size: bytes.byteLength,
    bytes,
    replayable: true,
    async *chunks() {
      if (bytes.byteLength > 0) yield bytes
    },
  }
}

/** Any class that behaves as a `Blob`: of fetch-blob, formdata-node, jsdom, another realm. */
function isBlob(content: unknown): content is Blob {
  if (content instanceof Blob) return true
  if (typeof content !== 'object' || content === null) return false
  const { size, type, slice } = content as Partial<Blob> // Each of them is looked at.
  return typeof size === 'number' && typeof type === 'string' && typeof slice === 'function'
}

/** jsdom's `Blob` has no `stream`, and in some versions no `arrayBuffer` either. */
function streamOf(blob: Blob): Source {
  if (typeof blob.stream === 'function') return blob.stream()
  return (async function* () {
    yield await (typeof blob.arrayBuffer === 'function' ? blob.arrayBuffer() : readByEvents(blob))
  })()
}

function readByEvents(blob: Blob): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const Reader: unknown = Reflect.get(globalThis, 'FileReader')
    if (typeof Reader !== 'function') {
      throw new Problem('InvalidArgument', 'the Blob can be read neither by stream() nor by arrayBuffer()')
    }
    const reader = Reflect.construct(Reader, [])
    reader.onload = () => resolve(reader.result)
    reader.onerror = () => reject(reader.error)
    reader.readAsArrayBuffer(blob)
  })
}

function isIterable(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  return (
    typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
  )
}

let warned = false

/** `save('a.png', './photo.png')` stores the path itself, which is legal and hardly ever meant. */
function warnOfPath(text: string): void {
  if (
    warned ||
    text.length > 1000 ||
    !/^(?:\.{0,2}\/|~\/|[A-Za-z]:[\\/]|file:\/\/)[^\r\n]*\.\w{1,5}$/.test(text)
  )
    return
  warned = true
  const message =
    'save() was given a text that looks like a path, and stores that text. To store the file, pass createReadStream(path).'
  process.emitWarning(message, { code: 'STOWAGE_PATH_AS_CONTENT' })
}

/** What to pass instead of an object that upload libraries hand out, or of nothing at all. */
function adviceFor(content: unknown): string {
  if (content === undefined || content === null) return 'was there a file in the form?'
  const has = (field: string) => typeof content === 'object' && field in content
  if (has('buffer')) return "pass the file's buffer, file.buffer"
  if (has('filepath')) return 'pass createReadStream(file.filepath)'
  if (has('path')) return 'pass createReadStream(file.path)'
  if (has('file')) return 'pass its stream, part.file'
  if (has('data') && has('type'))
    return 'a Buffer that went through JSON becomes one again by Buffer.from(value.data)'
  if (has('body')) return 'pass its body'
  return ''
}

function ignore(): void {}
