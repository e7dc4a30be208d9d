/**
 * Shows that Ceph's listings may lose a name for good: several clients save, delete and list one name at the same time,
 * and when all have ended, HEAD finds the object and no listing does. Bare AWS SDK, nothing of this package.
 *
 * By hand: `npx tsx test/chaos/ceph-listing.ts [names]`
 */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { startCeph } from '../servers/ceph.js'

const names = Number(process.argv[2] ?? 3000)
const Bucket = 'listing'
const ceph = await startCeph()
const { endpoint, ...credentials } = ceph
const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
await client.send(new CreateBucketCommand({ Bucket }))

async function isThere(Key: string): Promise<boolean> {
  return client.send(new HeadObjectCommand({ Bucket, Key })).then(
    () => true,
    () => false,
  )
}

async function isListed(Key: string): Promise<boolean> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: Key }))
  return Contents.some((each) => each.Key === Key)
}

async function disturb(Key: string): Promise<void> {
  for (let call = 0; call < 6; call++) {
    const kind = Math.random()
    if (kind < 0.4) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'content' }))
    else if (kind < 0.7) await client.send(new DeleteObjectCommand({ Bucket, Key }))
    else await isListed(Key)
  }
}

const counts = { names, 'there, not listed': 0, 'still so after 3 s': 0, 'listed, not there': 0 }
let next = 0
async function lane(): Promise<void> {
  while (next < names) {
    const key = `name-${next++}/` // The slash keeps a name from being the beginning of another.
    await Promise.all(Array.from({ length: 4 }, () => disturb(key)))
    const [there, listed] = [await isThere(key), await isListed(key)]
    if (listed && !there) counts['listed, not there']++
    if (listed || !there) continue
    counts['there, not listed']++
    await sleep(3_000)
    if ((await isThere(key)) && !(await isListed(key))) counts['still so after 3 s']++
  }
}
await Promise.all(Array.from({ length: 6 }, lane))
console.log(counts)
client.destroy()
await ceph.stop()
