import { Problem } from '../../errors.js'
import { toDate } from './headers.js'
import type { DeleteResult, ListPage, Part, PartPage, UploadMarker, UploadPage } from './object-api.js'
import { PAGE, S3Error } from './s3-error.js'
import { childrenOf, escapeXml, parseXml, textOf, type XmlDocument } from './xml.js'

const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

/** The body of DeleteObjects. */
export function deletion(keys: readonly string[]): string {
  let objects = ''
  for (const key of keys) objects += `<Object><Key>${escapeXml(key)}</Key></Object>`
  return `<Delete ${NAMESPACE}>${objects}</Delete>`
}

/** The rows of an answer to DeleteObjects. */
export const DELETED = { name: 'Deleted', fields: ['Key'] }

/** The answer to DeleteObjects. */
export function readDeletion({ root, rows }: XmlDocument): DeleteResult {
  return {
    deleted: rows.map(([key = '']) => key),
    errors: childrenOf(root, 'Error').map((error) => ({
      key: textOf(error, 'Key') ?? '',
      code: textOf(error, 'Code') ?? '',
    })),
  }
}

/** The body of CompleteMultipartUpload. */
export function completion(parts: readonly Part[]): string {
  const list = parts.map(
    ({ number, etag }) => `<Part><ETag>${escapeXml(etag)}</ETag><PartNumber>${number}</PartNumber></Part>`,
  )
  return `<CompleteMultipartUpload ${NAMESPACE}>${list.join('')}</CompleteMultipartUpload>`
}

/** The rows of a page of ListObjectsV2. */
export const CONTENTS = { name: 'Contents', fields: ['Key', 'Size', 'LastModified', 'ETag'] }

/** A page of ListObjectsV2. */
export function readPage({ root, rows }: XmlDocument): ListPage {
  const decode = keyDecoder(textOf(root, 'EncodingType'))
  return {
    keys: rows.map(([key = '', size, modified = '', etag = '']) => ({
      key: decode(key),
      size: Number(size),
      lastModified: wholeSecond(Date.parse(modified)),
      etag,
    })),
    prefixes: childrenOf(root, 'CommonPrefixes').map((each) => decode(textOf(each, 'Prefix') ?? '')),
    truncated: textOf(root, 'IsTruncated') === 'true',
    next: textOf(root, 'NextContinuationToken'),
  }
}

/** A time of a list, which has milliseconds: headers have whole seconds only, and a file is to have one time. */
export function wholeSecond(time: number): Date {
  return new Date(Number.isNaN(time) ? 0 : Math.floor(time / 1000) * 1000)
}

/** The rows of a page of ListParts. */
export const PARTS = { name: 'Part', fields: ['PartNumber', 'ETag', 'Size'] }

/** A page of ListParts. */
export function readParts({ root, rows }: XmlDocument): PartPage {
  return {
    parts: rows.map(([number, etag = '', size]) => ({ number: Number(number), etag, size: Number(size) })),
    next:
      textOf(root, 'IsTruncated') === 'true' ? Number(textOf(root, 'NextPartNumberMarker') ?? 0) : undefined,
  }
}

/** A page of ListMultipartUploads. */
export function readUploads({ root }: XmlDocument): UploadPage {
  const encoding = textOf(root, 'EncodingType')
  const decode = keyDecoder(encoding)
  const uploads = childrenOf(root, 'Upload').flatMap((each) => {
    const [key, uploadId] = [textOf(each, 'Key'), textOf(each, 'UploadId')]
    const initiated = toDate(textOf(each, 'Initiated'))
    return key === undefined || uploadId === undefined || initiated === undefined
      ? []
      : [{ key: decode(key), uploadId, initiated }]
  })
  const next: UploadMarker = {
    key: decode(textOf(root, 'NextKeyMarker') ?? ''),
    uploadId: textOf(root, 'NextUploadIdMarker') ?? '',
  }
  return {
    uploads,
    saysEncoding: encoding !== undefined,
    next: textOf(root, 'IsTruncated') === 'true' ? next : undefined,
  }
}

/** The root elements of the settings of a bucket. */
export const SETTINGS = { lifecycle: 'LifecycleConfiguration', cors: 'CORSConfiguration' } as const

/** The body of a setting of a bucket. */
export function settingOf(setting: keyof typeof SETTINGS, rules: string): string {
  return `<${SETTINGS[setting]} ${NAMESPACE}>${rules}</${SETTINGS[setting]}>`
}

/** The error of an answer: by S3's code in the body, or by the status where there is none. */
export async function readError(
  text: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<S3Error> {
  const root = text === '' ? undefined : (await parseXml(text))?.root
  const isError = root?.name === 'Error'
  const code = isError ? textOf(root, 'Code') : undefined
  const message = isError ? textOf(root, 'Message') : undefined
  if (UNKNOWING.has(status) && HTML.test(text))
    return new S3Error('a page came', { status, code: PAGE, headers })
  return new S3Error(message || `the server answered ${status}`, { status, code, headers })
}

const HTML = /^\s*<(?:!doctype\s+)?html/i
/** A portal, a proxy or a website knows nothing of files, whatever it answers. */
const UNKNOWING: ReadonlySet<number> = new Set([404, 405, 410, 501])

/** Makes keys of a page's text: some servers ignore `encoding-type=url`, and say so by leaving it out. */
export function keyDecoder(encoding: string | undefined): (text: string) => string {
  return encoding === 'url' ? decodeKey : (text) => text
}

function decodeKey(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw new Problem('Corrupt', 'the server lists a key that is not encoded as it was asked for', { cause })
  }
}
