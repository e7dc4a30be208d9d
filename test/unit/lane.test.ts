import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import * as sdk from '@aws-sdk/client-s3'
import { beforeAll, describe, it } from 'vitest'
import { S3Connection } from '../../src/backends/s3/connection.js'
import { FastLane } from '../../src/backends/s3/lane.js'
import { toS3Config } from '../../src/backends/s3/options.js'

const PLACE = { Bucket: 'bucket', Key: 'a.txt' }
const BYTES = Buffer.from('x')

let lane: FastLane
beforeAll(async () => {
  const options = { endpoint: 'http://127.0.0.1:9', bucket: 'bucket', accessKeyId: 'a', secretAccessKey: 'b' }
  lane = await FastLane.open(new S3Connection(toS3Config(options)), 'http://127.0.0.1:9', sdk)
})

describe('the fast lane', () => {
  it.each([
    new sdk.PutObjectCommand({ ...PLACE, Body: BYTES, ContentType: 'text/plain', IfNoneMatch: '*' }),
    new sdk.PutObjectCommand({ ...PLACE, Body: BYTES, Metadata: { a: 'b' }, ACL: undefined }),
    new sdk.UploadPartCommand({ ...PLACE, Body: BYTES, PartNumber: 1, UploadId: 'u' }),
    new sdk.GetObjectCommand({ ...PLACE, Range: 'bytes=0-1', IfMatch: '"e"' }),
    new sdk.HeadObjectCommand(PLACE),
    new sdk.DeleteObjectCommand(PLACE),
    new sdk.ListObjectsV2Command({ Bucket: 'bucket', Prefix: 'a/', EncodingType: 'url' }),
  ])('takes what it knows in full: $constructor.name', (command) => {
    assert.equal(lane.takes(command, undefined), true)
  })

  it.each([
    [
      'a field that it has no header for',
      new sdk.PutObjectCommand({ ...PLACE, Body: BYTES, ACL: 'private' }),
    ],
    ['a condition that is no header of it', new sdk.DeleteObjectCommand({ ...PLACE, IfMatch: '"e"' })],
    ['a version', new sdk.GetObjectCommand({ ...PLACE, VersionId: 'v' })],
    ['a part of a HEAD', new sdk.HeadObjectCommand({ ...PLACE, PartNumber: 1 })],
    ['a key to start after', new sdk.ListObjectsV2Command({ Bucket: 'bucket', StartAfter: 'a' })],
    ['a stream', new sdk.PutObjectCommand({ ...PLACE, Body: Readable.from([BYTES]) })],
    ['text', new sdk.PutObjectCommand({ ...PLACE, Body: 'x' })],
    ['a command', new sdk.CopyObjectCommand({ ...PLACE, CopySource: 'bucket/b.txt' })],
  ])('leaves to the SDK what it does not know: %s', (_, command) => {
    assert.equal(lane.takes(command, undefined), false)
  })

  it('does not take an input for the one that it took before', () => {
    const input: sdk.PutObjectCommandInput = { ...PLACE, Body: BYTES }
    const command = new sdk.PutObjectCommand(input)
    assert.equal(lane.takes(command, undefined), true)
    command.input.ACL = 'private'
    assert.equal(lane.takes(command, undefined), false)
  })
})
