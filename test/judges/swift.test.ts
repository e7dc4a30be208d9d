/** OpenStack Swift's S3 API, which answers 501 to create-only writes: the promises without them, by a look first. */
import assert from 'node:assert/strict'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { S3Storage, type S3StorageOptions } from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Swift, startSwift, swiftInstalled, swiftPackages } from '../servers/swift.js'
import { canJudge } from './judge.js'

/** Cases that are not run: a look first does not win races for a name. */
const RACES =
  /^concurrency: (?:32 saves of one name|16 copies and 16 moves onto one name|large streams of one name)/

/** Ten seconds on an idle machine: this only ends a start that hangs. */
const START_LIMIT_MS = 300_000
/** Swift takes 20 ms a request, and some cases make thousands. */
const CASE_LIMIT_MS = 900_000

const LITTLE_METADATA = 'Swift keeps 256 bytes a value and 4,096 in all, and answers 500 to more'
const UNBOUND = 'Swift has no condition that an address could bind'

/** Cases that fail, with the reason why it is Swift's. The list may only shrink: a listed case that passes fails here. */
const SWIFT_FAILS: Readonly<Record<string, string>> = {
  'metadata: values come back exactly as they were': LITTLE_METADATA,
  'metadata: 8,000 bytes of keys and values come back, more are refused': LITTLE_METADATA,
  'signed upload: stores one file only: a second one is refused': UNBOUND,
  'signed upload: of a taken name with error is refused when it is sent': UNBOUND,
  'signed upload: never replaces a file, whatever headers the uploader leaves out': UNBOUND,
}

const remedy = `on Debian and Ubuntu: apt-get install ${swiftPackages}; a temporary folder with extended attributes`

/** Swift is slow: the AWS SDK has its turn with `npm run test:judges -- --mode long`. */
const IMPLEMENTATIONS =
  process.env.MODE === 'long' ? [{ fastPath: true }, { fastPath: false }] : [{ fastPath: true }]

describe.runIf(canJudge('OpenStack Swift', swiftInstalled(), remedy))('OpenStack Swift', () => {
  let swift: Swift
  let client: S3Client
  let buckets = 0

  beforeAll(async () => {
    swift = await startSwift()
    client = new S3Client({
      endpoint: swift.endpoint,
      region: swift.region,
      credentials: swift,
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    })
  }, START_LIMIT_MS)
  afterAll(async () => {
    client?.destroy()
    await swift?.stop()
  })

  /** A storage on a bucket of its own. */
  const makeStorage = async (options: Partial<S3StorageOptions>) => {
    const bucket = `bucket-${++buckets}`
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    const { endpoint, region, accessKeyId, secretAccessKey } = swift
    // It deletes a thousand objects one after the other, before it answers.
    const idleTimeout = 300_000
    return new S3Storage({ endpoint, region, accessKeyId, secretAccessKey, bucket, idleTimeout, ...options })
  }

  it('every listed case is a case', () => {
    const names = new Set(conformanceCases.map(({ name }) => name))
    assert.deepEqual(
      Object.keys(SWIFT_FAILS).filter((name) => !names.has(name)),
      [],
    )
  })

  describe.each(IMPLEMENTATIONS)('fastPath $fastPath', ({ fastPath }) => {
    it('the default save says both ways out', async () => {
      const storage = await makeStorage({ fastPath })
      for (const content of ['x', Buffer.alloc(9 * 1024 * 1024)]) {
        await expect(storage.save('a.txt', content)).rejects.toMatchObject({
          code: 'Unsupported',
          message: expect.stringMatching(/ifExists: 'overwrite'.*createOnly: 'check'/),
        })
      }
      expect(await storage.listdir()).toEqual({ directories: [], files: [] })
      expect(await storage.save('a.txt', 'x', { ifExists: 'overwrite' })).toBe('a.txt')
    })

    describe("createOnly: 'check'", () => {
      const harness: ConformanceHarness = {
        signedUrls: 'http',
        makeStorage: () => makeStorage({ fastPath, createOnly: 'check' }),
      }
      for (const { name, run } of conformanceCases) {
        if (RACES.test(name)) continue
        const reason = SWIFT_FAILS[name]
        if (reason === undefined) it.concurrent(name, () => run(harness), CASE_LIMIT_MS)
        else {
          it.concurrent(
            `${name} (expected to fail: ${reason})`,
            async () => {
              await assert.rejects(async () => run(harness), 'it passes now: take it off the list')
            },
            CASE_LIMIT_MS,
          )
        }
      }
    })
  })
})
