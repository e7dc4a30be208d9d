import type { ExpiryRule } from '../../expiry-rules.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import type { BucketSetting } from './object-api.js'
import { childrenOf, textOf, type XmlElement, xmlOf } from './xml.js'

/** The rights that a bucket gives to pages of other origins. */
export interface CorsRule {
  /** Origins of pages: `https://app.example.com`; `*` for all. */
  readonly origins: readonly string[]
  /** HTTP methods that these pages may use. */
  readonly methods: readonly string[]
  /** Request headers that these pages may send. */
  readonly headers: readonly string[]
  /** Response headers that these pages may read. */
  readonly exposedHeaders: readonly string[]
}

/** One lifecycle rule of a bucket, whoever wrote it. */
export interface LifecycleRule {
  /** Its id. `''` if it has none. */
  readonly id: string
  /** It is for the keys that begin with this. The prefix of the storage is a part of it. `''` is the whole bucket. */
  readonly prefix: string
  /** Whether `setLifecycle` has written it. */
  readonly own: boolean
  /** The folder in this storage that it expires, as `getLifecycle` names it. Missing for all other rules. */
  readonly folder?: string
  /** Whether the server follows it. */
  readonly enabled: boolean
  /** Days after the last write that files are deleted. Undefined: it deletes none by their age. */
  readonly days: number | undefined
  /** Days after their begin that multipart uploads are aborted. Undefined: it aborts none. */
  readonly abortDays: number | undefined
  /** S3's names of its other actions and conditions, such as `Transition` or `Tag`. */
  readonly others: readonly string[]
}

/** Ids of the rules that this package writes begin with these. All other rules are somebody else's. */
const EXPIRE = 'stowage-expire-'
const ABORT = 'stowage-abort-'
const CORS = 'stowage-uploads'
/** The most characters of an id on S3. */
const MAX_ID = 255
const ABORT_DAYS = 7
/** Seconds that a browser may keep the answer to its preflight. */
const MAX_AGE = 3600
/** Headers of a signed upload and of a part. R2 takes no `*` here. */
const UPLOAD_HEADERS = [
  'content-type',
  'content-md5',
  'content-disposition',
  'content-encoding',
  'content-language',
  'cache-control',
  'if-none-match',
]

/** The settings of a bucket that a storage reads and writes. Rules of others are written back as they were. */
export class BucketConfig {
  readonly #connection: S3Connection

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  /** The expiry rules of this package below a prefix, relative to it. */
  async expiry(prefix: string, signal: AbortSignal | undefined): Promise<ExpiryRule[]> {
    return (await this.lifecycle(prefix, signal)).flatMap(({ folder, days }) =>
      folder === undefined ? [] : [{ prefix: folder, days: Number(days) }],
    )
  }

  /** All lifecycle rules. Folders are relative to a prefix. */
  async lifecycle(prefix: string, signal: AbortSignal | undefined): Promise<LifecycleRule[]> {
    return (await this.#rules('lifecycle', signal)).map((rule) => toLifecycleRule(rule, prefix))
  }

  /**
   * Writes expiry rules below a prefix, and one that aborts uploads there that were left open. Takes away the rules of
   * folders that get none any more.
   */
  async setExpiry(
    prefix: string,
    rules: readonly ExpiryRule[],
    removed: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const found = await this.#rules('lifecycle', signal)
    const folders = [...rules.map((rule) => rule.prefix), ...removed]
    const starts = new Set(folders.map((folder) => `${prefix}${folder}/`))
    const kept = found.filter(
      (rule) =>
        !(isOwn(rule, EXPIRE) && starts.has(prefixOf(rule))) &&
        !(isOwn(rule, ABORT) && prefixOf(rule) === prefix),
    )
    const written = rules.map((rule) => {
      const start = `${prefix}${rule.prefix}/`
      return lifecycleRule(`${EXPIRE}${start}`, start, leaf('Expiration', [leaf('Days', rule.days)]))
    })
    // Ceph refuses two rules of one kind for one prefix; R2 makes such a rule for every bucket.
    if (!kept.some((rule) => abortsUploads(rule) && prefixOf(rule) === prefix)) {
      const abort = leaf('AbortIncompleteMultipartUpload', [leaf('DaysAfterInitiation', ABORT_DAYS)])
      written.push(lifecycleRule(`${ABORT}${prefix}`, prefix, abort))
    }
    await this.#write('lifecycle', [...kept, ...written], signal)
  }

  /** Whether a rule aborts uploads to a key that were left open. */
  async abortsUploads(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const rules = await this.#rules('lifecycle', signal)
    return rules.some((rule) => abortsUploads(rule) && key.startsWith(prefixOf(rule)))
  }

  /** All rules for pages of other origins. */
  async cors(signal: AbortSignal | undefined): Promise<CorsRule[]> {
    return (await this.#rules('cors', signal)).map((rule) => ({
      origins: textsOf(rule, 'AllowedOrigin'),
      methods: textsOf(rule, 'AllowedMethod'),
      headers: textsOf(rule, 'AllowedHeader'),
      exposedHeaders: textsOf(rule, 'ExposeHeader'),
    }))
  }

  /** Writes the rule that uploads from browsers need, in the place of the one before. */
  async setCors(
    origins: readonly string[],
    moreHeaders: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const kept = (await this.#rules('cors', signal)).filter((rule) => textOf(rule, 'ID') !== CORS)
    const rule = leaf(
      'CORSRule',
      [
        leaf('ID', CORS),
        ...origins.map((origin) => leaf('AllowedOrigin', origin)),
        ...['GET', 'PUT', 'HEAD'].map((method) => leaf('AllowedMethod', method)),
        ...new Set([...UPLOAD_HEADERS, ...moreHeaders.map((header) => header.toLowerCase())]),
      ].map((each) => (typeof each === 'string' ? leaf('AllowedHeader', each) : each)),
    )
    const rest = [leaf('ExposeHeader', 'ETag'), leaf('MaxAgeSeconds', MAX_AGE)]
    await this.#write('cors', [...kept, { ...rule, children: [...rule.children, ...rest] }], signal)
  }

  async #rules(setting: BucketSetting, signal: AbortSignal | undefined): Promise<readonly XmlElement[]> {
    const { api } = this.#connection
    try {
      const root = await this.#connection.run(signal, (call) => api.getSetting(setting, call))
      return root.children
    } catch (error) {
      // `NoSuchLifecycleConfiguration`, `NoSuchCORSConfiguration`: there are no rules yet.
      if (/^NoSuch\w+Configuration$/.test(analyse(error).code ?? '')) return []
      throw error
    }
  }

  async #write(
    setting: BucketSetting,
    rules: readonly XmlElement[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { api } = this.#connection
    const text = rules.map(xmlOf).join('')
    await this.#connection.run(signal, (call) => api.putSetting(setting, text, call))
  }
}

function toLifecycleRule(rule: XmlElement, start: string): LifecycleRule {
  const daysOf = (action: string, field: string) => {
    const [days] = childrenOf(rule, action).map((each) => textOf(each, field))
    return days === undefined ? undefined : Number(days)
  }
  const days = daysOf('Expiration', 'Days')
  const abortDays = daysOf('AbortIncompleteMultipartUpload', 'DaysAfterInitiation')
  const known = new Set(['ID', 'Prefix', 'Status', 'Filter'])
  if (days !== undefined) known.add('Expiration')
  if (abortDays !== undefined) known.add('AbortIncompleteMultipartUpload')
  const prefix = prefixOf(rule)
  const isHere = isOwn(rule, EXPIRE) && prefix.startsWith(start)
  return {
    id: textOf(rule, 'ID') ?? '',
    prefix,
    own: isOwn(rule, EXPIRE) || isOwn(rule, ABORT),
    ...(isHere && { folder: prefix.slice(start.length).replace(/\/$/, '') }),
    enabled: textOf(rule, 'Status') === 'Enabled',
    days,
    abortDays,
    others: [...rule.children, ...conditionsOf(rule)]
      .map(({ name }) => name)
      .filter((name) => !known.has(name)),
  }
}

function leaf(name: string, content: string | number | readonly XmlElement[]): XmlElement {
  return typeof content === 'object'
    ? { name, text: '', children: content }
    : { name, text: String(content), children: [] }
}

function lifecycleRule(id: string, prefix: string, action: XmlElement): XmlElement {
  return leaf('Rule', [
    leaf('ID', shortened(encodeURI(id))),
    leaf('Filter', [leaf('Prefix', prefix)]),
    leaf('Status', 'Enabled'),
    action,
  ])
}

/** A long prefix is told by its rule; the id only has to be this package's, and no other rule's. */
function shortened(id: string): string {
  if (id.length <= MAX_ID) return id
  let hash = 0
  for (const character of id) hash = (hash * 31 + character.charCodeAt(0)) % 2 ** 40
  return `${id.slice(0, MAX_ID - 12)}-${hash.toString(16)}`
}

function isOwn(rule: XmlElement, start: string): boolean {
  return textOf(rule, 'ID')?.startsWith(start) === true
}

function abortsUploads(rule: XmlElement): boolean {
  return textOf(rule, 'Status') === 'Enabled' && childrenOf(rule, 'AbortIncompleteMultipartUpload').length > 0
}

/** In a `Filter`, or right in the rule as in old configurations. */
function prefixOf(rule: XmlElement): string {
  return conditionsOf(rule).find(({ name }) => name === 'Prefix')?.text ?? textOf(rule, 'Prefix') ?? ''
}

/** What a rule is for. Several conditions are within an `And`. */
function conditionsOf(rule: XmlElement): readonly XmlElement[] {
  const [filter] = childrenOf(rule, 'Filter')
  const [and] = filter ? childrenOf(filter, 'And') : []
  return (and ?? filter)?.children ?? []
}

function textsOf(rule: XmlElement, name: string): string[] {
  return childrenOf(rule, name).map(({ text }) => text)
}
