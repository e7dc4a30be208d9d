/**
 * Just enough of XML for the answers of S3 servers: elements without attributes, text, and character references. No
 * entities are defined or expanded, and the time it takes grows with the length of the text alone.
 */

/** The text of the first element of a name, or undefined. */
export function readTag(xml: string, name: string, from = 0, to: number = xml.length): string | undefined {
  const start = xml.indexOf(`<${name}>`, from)
  if (start === -1 || start >= to) return undefined
  const end = xml.indexOf(`</${name}>`, start)
  if (end === -1 || end >= to) return undefined
  return decodeText(xml.slice(start + name.length + 2, end))
}

const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" }

function decodeText(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(\w{2,4}));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return NAMED[name] ?? whole
    const code = hex === undefined ? Number.parseInt(decimal, 10) : Number.parseInt(hex, 16)
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole
  })
}

/** A whole ListObjectsV2 answer in the shape of the SDK's output; without `Name` and `KeyCount` it was none. */
export function readListing(xml: string) {
  const Contents: { Key: string; Size: number; LastModified: Date | undefined; ETag: string }[] = []
  for (const [start, end] of elements(xml, 'Contents')) {
    Contents.push({
      Key: readTag(xml, 'Key', start, end) ?? '',
      Size: Number(readTag(xml, 'Size', start, end) ?? 0),
      LastModified: toDate(readTag(xml, 'LastModified', start, end)),
      ETag: readTag(xml, 'ETag', start, end) ?? '',
    })
  }
  const CommonPrefixes: { Prefix: string }[] = []
  for (const [start, end] of elements(xml, 'CommonPrefixes')) {
    CommonPrefixes.push({ Prefix: readTag(xml, 'Prefix', start, end) ?? '' })
  }
  // Half of one would be a list, too: of the keys that come first.
  const isListing = xml.includes('<ListBucketResult') && xml.trimEnd().endsWith('</ListBucketResult>')
  const count = readTag(xml, 'KeyCount')
  return {
    Name: isListing ? readTag(xml, 'Name') : undefined,
    KeyCount: isListing && count !== undefined ? Number(count) : undefined,
    EncodingType: readTag(xml, 'EncodingType'),
    IsTruncated: readTag(xml, 'IsTruncated') === 'true',
    NextContinuationToken: readTag(xml, 'NextContinuationToken'),
    ...(Contents.length > 0 && { Contents }),
    ...(CommonPrefixes.length > 0 && { CommonPrefixes }),
  }
}

/** Start and end of each element of a name. */
function* elements(xml: string, name: string): Iterable<readonly [number, number]> {
  const close = `</${name}>`
  for (let start = xml.indexOf(`<${name}>`); start !== -1; start = xml.indexOf(`<${name}>`, start)) {
    const end = xml.indexOf(close, start)
    if (end === -1) return
    yield [start, end + close.length]
    start = end
  }
}

/** Undefined for what is no date. */
export function toDate(text: string | undefined): Date | undefined {
  const date = new Date(text ?? '')
  return Number.isNaN(date.getTime()) ? undefined : date
}
