import type { Call, Reply } from './call.js'
import { xmlReply } from './call.js'
import { S3Error } from './errors.js'
import type { Bucket } from './object-store.js'
import type { S3Request } from './request.js'
import { childText, malformed, parseXml, type XmlElement, type XmlNode, xmlDocument } from './xml.js'

/** A setting of a bucket, by its query parameter. */
export type Setting = 'lifecycle' | 'cors'

interface Shape {
  readonly root: string
  readonly rule: string
  readonly most: number
  readonly missing: 'NoSuchLifecycleConfiguration' | 'NoSuchCORSConfiguration'
  /** What R2 documents. It refuses whatever else is in a rule. */
  readonly known: ReadonlySet<string>
  check(rule: XmlElement): boolean
}

const METHODS = new Set(['GET', 'PUT', 'POST', 'DELETE', 'HEAD'])
const shapes: Readonly<Record<Setting, Shape>> = {
  lifecycle: {
    root: 'LifecycleConfiguration',
    rule: 'Rule',
    most: 1000,
    missing: 'NoSuchLifecycleConfiguration',
    known: new Set([
      'ID',
      'Status',
      'Prefix',
      'Filter',
      'Expiration',
      'Days',
      'Date',
      'Transition',
      'StorageClass',
      'AbortIncompleteMultipartUpload',
      'DaysAfterInitiation',
    ]),
    check: (rule) => {
      const numbers = leavesOf(rule, /^Days/)
      return (
        /^(?:Enabled|Disabled)$/.test(childText(rule, 'Status') ?? '') &&
        numbers.every((days) => /^[1-9]\d*$/.test(days)) &&
        rule.children.some(({ name }) => /^(?:Expiration|Transition|AbortIncomplete)/.test(name))
      )
    },
  },
  cors: {
    root: 'CORSConfiguration',
    rule: 'CORSRule',
    most: 100,
    missing: 'NoSuchCORSConfiguration',
    known: new Set([
      'ID',
      'AllowedOrigin',
      'AllowedMethod',
      'AllowedHeader',
      'ExposeHeader',
      'MaxAgeSeconds',
    ]),
    check: (rule) => {
      const methods = leavesOf(rule, /^AllowedMethod$/)
      const origins = leavesOf(rule, /^AllowedOrigin$/)
      return (
        methods.length > 0 &&
        methods.every((method) => METHODS.has(method)) &&
        origins.length > 0 &&
        origins.every((origin) => origin === '*' || /^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i.test(origin))
      )
    },
  },
}

export function getSetting({ bucket }: Call, setting: Setting): Reply {
  const found = bucket.settings.get(setting)
  const { missing } = shapes[setting]
  if (found === undefined) throw new S3Error(missing, `The ${setting} configuration does not exist`)
  return xmlReply(found)
}

export async function putSetting(call: Call, setting: Setting): Promise<Reply> {
  const { root, rule: name, most, known, check } = shapes[setting]
  const { children: rules } = parseXml((await call.receive()).bytes(), root)
  if (rules.length === 0 || rules.length > most) throw malformed()
  const isKnown = (element: XmlElement): boolean => known.has(element.name) && element.children.every(isKnown)
  for (const rule of rules) {
    if (rule.name !== name || !rule.children.every(isKnown) || !check(rule)) throw malformed()
  }
  const ids = rules.map((rule) => childText(rule, 'ID')).filter((id) => id !== undefined)
  if (new Set(ids).size < ids.length || ids.some((id) => id.length > 255)) {
    throw new S3Error('InvalidArgument', 'Rule IDs must be unique and at most 255 characters')
  }
  await call.readyToCommit()
  call.bucket.settings.set(setting, xmlDocument(root, rules.map(nodeOf)))
  return { status: 200 }
}

export async function deleteSetting(call: Call, setting: Setting): Promise<Reply> {
  await call.readyToCommit()
  call.bucket.settings.delete(setting)
  return { status: 204 }
}

function nodeOf({ name, children, text }: XmlElement): XmlNode {
  return [name, children.length > 0 ? children.map(nodeOf) : text]
}

function leavesOf({ children }: XmlElement, pattern: RegExp): string[] {
  return children.flatMap((child) => [
    ...(pattern.test(child.name) ? [child.text] : []),
    ...leavesOf(child, pattern),
  ])
}

/** The headers that the bucket's own rules give to a page of another origin; undefined where none allows it. */
export function corsByRules(request: S3Request, bucket: Bucket): Record<string, string> | undefined {
  const document = bucket.settings.get('cors')
  const origin = request.header('origin')
  if (document === undefined || origin === undefined) return undefined
  const isPreflight = request.method === 'OPTIONS'
  const method = isPreflight ? request.header('access-control-request-method') : request.method
  const wanted = isPreflight ? (request.header('access-control-request-headers') ?? '') : ''
  const headers = wanted.split(',').flatMap((header) => header.trim().toLowerCase() || [])
  const rule = parseXml(Buffer.from(document), 'CORSConfiguration').children.find((each) => {
    const allowed = leavesOf(each, /^AllowedHeader$/).map((header) => header.toLowerCase())
    return (
      leavesOf(each, /^AllowedOrigin$/).some((one) => one === '*' || one === origin) &&
      leavesOf(each, /^AllowedMethod$/).some((one) => one === method) &&
      headers.every((header) => allowed.includes(header))
    )
  })
  if (rule === undefined) return undefined
  const exposed = leavesOf(rule, /^ExposeHeader$/).join(', ')
  return {
    'access-control-allow-origin': origin,
    vary: 'Origin',
    ...(exposed === '' ? {} : { 'access-control-expose-headers': exposed }),
    ...(isPreflight && {
      'access-control-allow-methods': leavesOf(rule, /^AllowedMethod$/).join(', '),
      'access-control-allow-headers': headers.join(', '),
      'access-control-max-age': childText(rule, 'MaxAgeSeconds') ?? '0',
    }),
  }
}
