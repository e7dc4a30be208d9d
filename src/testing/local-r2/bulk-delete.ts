import { type Call, type Reply, xmlReply } from './call.js'
import { S3Error } from './errors.js'
import { childText, malformed, parseXml, type XmlNode, xmlDocument } from './xml.js'

const keyLimit = 1000
const checksumHeaders = ['content-md5', 'x-amz-checksum-crc32']

/** DeleteObjects: 200 with an entry per key; the only operation that must carry a digest of its body. */
export async function deleteObjects(call: Call): Promise<Reply> {
  if (!checksumHeaders.some((name) => call.request.header(name) !== undefined)) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: Content-MD5')
  }
  const { keys, quiet } = parseDelete((await call.receive()).bytes())
  await call.readyToCommit()
  const entries = keys.map((key): XmlNode => {
    const failure = failureOf(call, key)
    if (failure !== undefined) {
      const { code, message } = failure
      return ['Error', [['Key', key], ['Code', code], ['Message', message]]] // biome-ignore format: one entry, one line
    }
    call.bucket.delete(key)
    return quiet ? undefined : ['Deleted', [['Key', key]]]
  })
  return xmlReply(xmlDocument('DeleteResult', entries))
}

function failureOf(call: Call, key: string): { code: string; message: string } | undefined {
  if (Buffer.byteLength(key) > 1024) {
    return { code: 'InvalidObjectName', message: 'The specified object name is not valid.' }
  }
  return call.behaviour.onBulkDelete?.(call.bucket.name, key)
}

function parseDelete(body: Buffer): { keys: string[]; quiet: boolean } {
  const root = parseXml(body, 'Delete')
  const quiet = childText(root, 'Quiet')
  const keys = root.children
    .filter((child) => child.name !== 'Quiet')
    .map((child) => {
      const key = childText(child, 'Key')
      if (child.name !== 'Object' || key === undefined || key === '') throw malformed()
      const other = child.children.find(({ name }) => name !== 'Key')
      if (other !== undefined)
        throw new S3Error('NotImplemented', `DeleteObjects element ${other.name} not implemented`)
      return key
    })
  if (keys.length === 0 || keys.length > keyLimit || (quiet ?? 'true') !== String(quiet !== 'false'))
    throw malformed()
  return { keys, quiet: quiet === 'true' }
}
