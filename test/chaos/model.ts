/** What callers may do with a storage, as data, and what must come of it: `MemoryStorage` is the model. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import {
  type Content,
  type FileInfo,
  type IfExists,
  isStorageError,
  MemoryStorage,
  type SaveOptions,
  type Storage,
} from 'stowage'
import { isName, toName } from '../../src/names.js'

/** The only ways in which backends may differ. */
export interface Traits {
  /** On disk a file cannot lie below another file, nor have the name of a folder. */
  readonly folders: boolean
  /** What a save without `cacheControl` gets. */
  readonly cacheControl?: string
  /** Bytes of a content that is uploaded in more than one part; absent where there are no parts. */
  readonly largeBytes?: number
}

/** A name, or one of those that are stored at that moment: so that alternative names, too, are used again. */
type NameChoice = { readonly name: string } | { readonly stored: number }
type ContentKind = 'text' | 'bytes' | 'view' | 'blob' | 'stream' | 'iterable' | 'failing' | 'large'
type ReadForm = 'bytes' | 'text' | 'arrayBuffer' | 'blob' | 'stream' | 'webStream' | 'iterator' | 'unread'

export type Step =
  | {
      readonly op: 'save'
      readonly name: NameChoice
      readonly content: { readonly kind: ContentKind; readonly text: string }
      readonly options: SaveOptions
    }
  | {
      readonly op: 'open'
      readonly name: NameChoice
      readonly range: { readonly offset: number; readonly length?: number } | undefined
      readonly form: ReadForm
    }
  | { readonly op: 'exists' | 'stat' | 'size' | 'url' | 'delete'; readonly name: NameChoice }
  | { readonly op: 'deleteMany'; readonly names: readonly NameChoice[]; readonly lazily: boolean }
  | { readonly op: 'deletePrefix'; readonly folder: string; readonly dryRun: boolean }
  | { readonly op: 'list' | 'listdir'; readonly folder: string }
  | {
      readonly op: 'copy' | 'move'
      readonly name: NameChoice
      readonly to: NameChoice
      readonly ifExists: IfExists | undefined
    }

/** What a call came to, in a form that can be compared: a value, an error's code, or what else was thrown. */
export type Outcome = { readonly value: unknown } | { readonly code: string } | { readonly thrown: string }

/** Few, so that they meet: folders and files of the same beginning, siblings that sort around `/`, odd ones. */
const NAMES = [
  ...['a', 'a/b', 'a/b/c', 'a.txt', 'a-b', 'a b', 'users/1', 'users/1/x.txt', 'users/10', 'users/10/x.txt'],
  ...[
    'users/1.tar.gz',
    'caf\u00e9.html',
    'cafe\u0301.html',
    './a//b',
    'users\\10',
    '%2e%2e/x',
    'sp ace/q?&+#.css',
  ],
  ...['.env', '__proto__', 'constructor/toString', '\u{1f640}/\u{1f600}.tar.gz', '\uff0f', '\uffee', 'z/...'],
  ...[`${'x'.repeat(251)}.txt`, `long/${'\u263a'.repeat(85)}`],
]
const REFUSED = ['', '.', '..', '../x', '/a', 'a/', 'a/../b', 'C:\\x', '.stowage/x', 'a\nb', '\ud800', 'a/\0']
const TOO_LONG = ['y'.repeat(256), 'y/'.repeat(600)]
const FOLDERS = [
  ...[
    '',
    'a',
    'a/',
    'a/b',
    'users',
    'users/1',
    'users/10/',
    'user',
    'long',
    '%2e%2e',
    '\u{1f640}',
    'missing',
  ],
  ...['..', '/', '.stowage', 'a/../users', 'a\0', './', 'a//b', '__proto__', 'z'],
]

const name: fc.Arbitrary<NameChoice> = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(...NAMES).map((name) => ({ name })) },
  { weight: 9, arbitrary: fc.nat(30).map((stored) => ({ stored })) },
  { weight: 1, arbitrary: fc.constantFrom(...REFUSED, ...TOO_LONG).map((name) => ({ name })) },
)
const ifExists = fc.constantFrom<IfExists | undefined>(undefined, 'rename', 'overwrite', 'error')
const metadata = fc.constantFrom<Record<string, string>>(
  {},
  { by: 'me' },
  { By: 'Zo\u00eb \u{1f600}', empty: '', spaces: ' around ', constructor: '=?UTF-8?B?eA==?=' },
  { under_score: 'refused' },
  { line: 'a\r\nb' },
  { 'a-b': 'x'.repeat(900) },
  JSON.parse('{"__proto__":"refused"}'),
)
const saveOptions: fc.Arbitrary<SaveOptions> = fc.record(
  {
    ifExists,
    contentType: fc.constantFrom('text/html; charset=utf-8', 'image/png', 'nonsense', 'text/\nplain'),
    cacheControl: fc.constantFrom('no-store', 'max-age=1\r\nx: y'),
    contentDisposition: fc.constantFrom('attachment; filename="caf\u00e9.txt"', 'inline', '\u00e9'),
    contentLanguage: fc.constantFrom('en-US', ''),
    contentEncoding: fc.constantFrom('gzip', 'x-own'),
    metadata,
    maxSize: fc.constantFrom(0, 3, 1000, -1),
    allowedTypes: fc.constantFrom(['text/*'], ['image/png'], ['nonsense']),
    signal: fc.constant(AbortSignal.abort(new Error('before'))),
  },
  { requiredKeys: [] },
)
/** Most saves have few options, or hardly any would succeed. */
const fewOptions = fc.oneof(
  { weight: 3, arbitrary: fc.record({ ifExists }) },
  { weight: 2, arbitrary: fc.record({ ifExists, metadata: metadata.filter((each) => 'by' in each) }) },
  { weight: 2, arbitrary: saveOptions },
)
const contentKind = fc.constantFrom<ContentKind>(
  ...([
    'text',
    'bytes',
    'view',
    'blob',
    'stream',
    'iterable',
    'text',
    'bytes',
    'iterable',
    'failing',
  ] as const),
)
const content = fc.oneof(
  {
    weight: 60,
    arbitrary: fc.record({ kind: contentKind, text: fc.string({ unit: 'grapheme', maxLength: 12 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant<ContentKind>('large'), text: fc.string({ maxLength: 3 }) }),
  },
)
const range = fc.option(
  fc.oneof(
    fc.record({ offset: fc.integer({ min: -6, max: 8 }) }),
    fc.record({ offset: fc.integer({ min: -6, max: 8 }), length: fc.integer({ min: 0, max: 6 }) }),
    fc.constant({ offset: 0.5 }),
  ),
  { nil: undefined },
)
const form = fc.constantFrom<ReadForm>(
  ...(['bytes', 'text', 'arrayBuffer', 'blob', 'stream', 'webStream', 'iterator', 'unread'] as const),
)
const folder = fc.constantFrom(...FOLDERS)

const save = fc.record({ op: fc.constant('save' as const), name, content, options: fewOptions })
const open = fc.record({ op: fc.constant('open' as const), name, range, form })
const copyOrMove = fc.record({
  op: fc.constantFrom('copy' as const, 'move' as const),
  name,
  to: name,
  ifExists,
})

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: save },
  { weight: 4, arbitrary: open },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constantFrom(
        'exists' as const,
        'stat' as const,
        'size' as const,
        'url' as const,
        'delete' as const,
      ),
      name,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('deleteMany' as const),
      names: fc.array(name, { maxLength: 4 }),
      lazily: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant('deletePrefix' as const), folder, dryRun: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constantFrom('list' as const, 'listdir' as const), folder }) },
  { weight: 4, arbitrary: copyOrMove },
)

/** Steps that take effect in one moment on every backend, and names that no folder comes in the way of. */
const crowded = fc.constantFrom('same.txt', 'd/same.txt', 'd/other').map((name) => ({ name }))
export const crowdedStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('save' as const),
      name: crowded,
      content: fc.record({ kind: fc.constant<ContentKind>('text'), text: fc.string({ maxLength: 4 }) }),
      options: fc.record({ ifExists }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('open' as const),
      name: crowded,
      range: fc.constant(undefined),
      form: fc.constant<ReadForm>('bytes'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constantFrom('exists' as const, 'size' as const, 'delete' as const),
      name: crowded,
    }),
  },
)

/** A step whose choices of stored names are made. */
type Resolved = {
  readonly step: Step
  readonly name: string
  readonly to: string
  readonly names: readonly string[]
}

async function outcomeOf(work: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { value: await work() }
  } catch (error) {
    return isStorageError(error) ? { code: error.code } : { thrown: String(error) }
  }
}

/** Does a step on any storage. */
function perform(storage: Storage, { step, name, to, names }: Resolved, traits: Traits): Promise<Outcome> {
  return outcomeOf(async () => {
    switch (step.op) {
      case 'save':
        return storage.save(name, contentOf(step.content, traits), step.options)
      case 'open': {
        const { form, range } = step
        const file = await storage.open(name, range === undefined ? {} : { range })
        const { offset, length } = file.range
        return { ...shown(file, traits), offset, length, content: digest(await readAs(file, form)) }
      }
      case 'exists':
      case 'size':
        return storage[step.op](name)
      case 'stat':
        return shown(await storage.stat(name), traits)
      case 'url':
        // Where it leads is the backend's matter; how the name is written in it is not.
        return storage.url(name).replace(storage.url('x').slice(0, -1), '')
      case 'delete':
        return storage.delete(name)
      case 'deleteMany':
        return storage.deleteMany(step.lazily ? lazily(names) : names)
      case 'deletePrefix':
        return storage.deletePrefix(step.folder, { dryRun: step.dryRun })
      case 'list':
        return listed(storage, step.folder)
      case 'listdir':
        return storage.listdir(step.folder)
      case 'copy':
      case 'move':
        return storage[step.op](name, to, step.ifExists === undefined ? {} : { ifExists: step.ifExists })
    }
  })
}

async function* lazily(names: readonly string[]): AsyncGenerator<string> {
  yield* names
}

async function listed(storage: Storage, folder: string): Promise<{ name: string; size: number }[]> {
  const found: { name: string; size: number }[] = []
  for await (const { name, size, etag, lastModified } of storage.list(folder)) {
    checkMoment(etag, lastModified)
    found.push({ name, size })
  }
  return found
}

/** What is known about a file, without what must differ. */
function shown(info: FileInfo, traits: Traits): Record<string, unknown> {
  const { name, size, contentType, contentDisposition, contentLanguage, contentEncoding, metadata } = info
  checkMoment(info.etag, info.lastModified)
  const cacheControl = info.cacheControl === traits.cacheControl ? undefined : info.cacheControl
  const headers = { contentType, cacheControl, contentDisposition, contentLanguage, contentEncoding }
  return { name, size, ...headers, metadata: { ...metadata } }
}

function checkMoment(etag: string, lastModified: Date): void {
  if (!/^(?:W\/)?"[^"]+"$/.test(etag)) throw new Error(`no ETag: ${etag}`)
  const age = Date.now() - lastModified.getTime()
  if (!(age > -5_000 && age < 30 * 60_000)) throw new Error(`modified ${age} ms ago`)
}

function contentOf({ kind, text }: { kind: ContentKind; text: string }, traits: Traits): Content {
  const bytes = Buffer.from(text)
  switch (kind) {
    case 'text':
      return text
    case 'bytes':
      return bytes
    case 'view':
      return new Uint8Array(Buffer.from(`..${text}..`)).subarray(2, 2 + bytes.byteLength)
    case 'blob':
      return new Blob([text])
    case 'stream':
      return new Blob([text]).stream()
    case 'iterable':
      return chunksOf(bytes)
    case 'failing':
      return failing(bytes)
    case 'large':
      return large(traits.largeBytes ?? 300_000, text)
  }
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += 3) yield bytes.subarray(start, start + 3)
}

async function* failing(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes
  throw new Error('the source fails')
}

async function* large(bytes: number, end: string): AsyncGenerator<string> {
  const chunk = 'large '.repeat(20_000)
  for (let left = bytes; left > 0; left -= chunk.length) yield chunk.slice(0, left)
  yield end
}

type Opened = Awaited<ReturnType<Storage['open']>>

async function readAs(file: Opened, form: ReadForm): Promise<Buffer> {
  if (form === 'unread') {
    await file.close()
    return Buffer.alloc(0)
  }
  if (form === 'bytes') return file.bytes()
  // A part of a file may begin or end within a character, which text cannot show.
  if (form === 'text') return file.range.length === file.size ? Buffer.from(await file.text()) : file.read()
  if (form === 'arrayBuffer') return Buffer.from(await file.arrayBuffer())
  if (form === 'blob') return Buffer.from(await (await file.blob()).arrayBuffer())
  const source = form === 'stream' ? file.stream() : form === 'webStream' ? file.webStream() : file
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function digest(bytes: Buffer): string {
  return bytes.byteLength < 100 ? bytes.toString('latin1') : createHash('sha256').update(bytes).digest('hex')
}

/** Holds what a storage does against what `MemoryStorage` would do, and what the contract lets differ. */
export class Model {
  readonly #traits: Traits
  readonly #memory = new MemoryStorage()
  /** All stored names, the oldest first: the same run has the same order, whatever alternative names it got. */
  #names: string[] = []

  constructor(traits: Traits) {
    this.#traits = traits
  }

  get names(): readonly string[] {
    return this.#names
  }

  /** Another model in the same state. */
  async clone(): Promise<Model> {
    const clone = new Model(this.#traits)
    await clone.become(this)
    return clone
  }

  /** Does a step on the storage. */
  async act(storage: Storage, step: Step): Promise<{ resolved: Resolved; actual: Outcome }> {
    const resolved = this.resolve(step)
    return { resolved, actual: await perform(storage, resolved, this.#traits) }
  }

  resolve(step: Step): Resolved {
    const pick = (choice: NameChoice) =>
      'name' in choice ? choice.name : (this.#names[choice.stored % this.#names.length] ?? 'a')
    return {
      step,
      name: 'name' in step ? pick(step.name) : '',
      to: 'to' in step ? pick(step.to) : '',
      names: 'names' in step ? step.names.map(pick) : [],
    }
  }

  /** What the step should have come to. `actual` only tells which alternative name was found, where one was due. */
  async expect(resolved: Resolved, actual: Outcome): Promise<Outcome> {
    const { step } = resolved
    const outcome =
      step.op === 'save'
        ? await this.#write(resolved, resolved.name, step.options.ifExists, actual)
        : step.op === 'copy' || step.op === 'move'
          ? await this.#write(resolved, resolved.to, step.ifExists, actual)
          : await perform(this.#memory, resolved, this.#traits)
    if (step.op !== 'open' && step.op !== 'stat') await this.#refresh()
    return outcome
  }

  async #write(
    resolved: Resolved,
    wanted: string,
    ifExists: IfExists | undefined,
    actual: Outcome,
  ): Promise<Outcome> {
    if (!isWellNamed(wanted) || !isWellNamed(resolved.name))
      return perform(this.#memory, resolved, this.#traits)
    const target = toName(wanted)
    const source = toName(resolved.name)
    const { op } = resolved.step
    if (op !== 'save' && source === target && (op === 'move' || ifExists === 'overwrite'))
      return perform(this.#memory, resolved, this.#traits)
    const isFolder = this.#traits.folders && this.#names.some((name) => name.startsWith(`${target}/`))
    const isBelowFile = this.#traits.folders && this.#names.some((name) => target.startsWith(`${name}/`))
    const renames = ifExists === undefined || ifExists === 'rename'
    if (isBelowFile || (isFolder && !renames)) {
      // What else could be wrong with it comes first.
      const elsewhere = await this.#elsewhere(resolved)
      return 'value' in elsewhere ? { code: 'AlreadyExists' } : elsewhere
    }
    if (!renames || !(isFolder || this.#names.includes(target))) {
      return perform(this.#memory, resolved, this.#traits)
    }
    const alternative = 'value' in actual ? String(actual.value) : ''
    if (!isAlternative(alternative, target)) {
      const elsewhere = await this.#elsewhere(resolved)
      return 'value' in elsewhere ? { value: `an alternative of ${target}` } : elsewhere
    }
    const { step } = resolved
    const renamed: Resolved =
      step.op === 'save'
        ? {
            ...resolved,
            step: { ...step, options: { ...step.options, ifExists: 'error' } },
            name: alternative,
          }
        : step.op === 'copy' || step.op === 'move'
          ? { ...resolved, step: { ...step, ifExists: 'error' }, to: alternative }
          : resolved
    return perform(this.#memory, renamed, this.#traits)
  }

  /** What a write would come to if nothing were in its way. */
  async #elsewhere(resolved: Resolved): Promise<Outcome> {
    const empty = new MemoryStorage()
    if (resolved.step.op !== 'save' && this.#names.includes(toName(resolved.name)))
      await empty.save(resolved.name, 'x')
    return perform(empty, resolved, this.#traits)
  }

  async #refresh(): Promise<void> {
    const present = new Set<string>()
    for await (const { name } of this.#memory.list()) present.add(name)
    const kept = this.#names.filter((name) => present.delete(name))
    this.#names = [...kept, ...present]
  }

  /** Takes on the state of another. */
  async become(other: Model): Promise<void> {
    await this.#memory.deleteMany(this.#names)
    for (const name of other.#names) await this.#memory.save(name, await other.#memory.open(name))
    this.#names = [...other.#names]
  }

  /** Everything that is stored, to compare with what a storage has at the end. */
  everything(): Promise<unknown> {
    return everythingIn(this.#memory, this.#traits)
  }
}

export async function everythingIn(storage: Storage, traits: Traits): Promise<unknown> {
  const files: unknown[] = []
  for await (const { name, etag } of storage.list()) {
    const info = await storage.stat(name)
    const file = await storage.open(name)
    if (info.etag !== etag || file.etag !== etag)
      throw new Error(`${name}: ${etag}, ${info.etag}, ${file.etag}`)
    files.push({ ...shown(file, traits), content: digest(await file.bytes()) })
  }
  return files
}

function isWellNamed(text: string): boolean {
  try {
    return isName(toName(text))
  } catch {
    return false
  }
}

/** `report_Ab3dE9x.pdf` for `report.pdf`; a long name is cut. */
function isAlternative(found: string, name: string): boolean {
  const pattern = /_[A-Za-z0-9]{7}(?=(?:\.[^./\s]+)*$)/
  if (!isName(found) || found === name || !pattern.test(found)) return false
  const start = found.replace(pattern, '')
  if (start === name) return true
  const file = found.slice(found.lastIndexOf('/') + 1)
  return (
    Buffer.byteLength(file) > 240 && Buffer.byteLength(file) <= 255 && name.startsWith(found.slice(0, 60))
  )
}
