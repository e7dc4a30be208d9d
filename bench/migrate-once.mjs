// A child of migrate.mjs: one migration from a folder to a bucket. node migrate-once.mjs <folder> <bucket> <concurrency>
import { stowage } from './stowage.mjs'

const [, , location, bucket, concurrency] = process.argv
const { FileSystemStorage, migrate, S3Storage } = await stowage()
const { endpoint, accessKeyId, secretAccessKey } = JSON.parse(process.env.BENCH_KEYS)
const target = new S3Storage({ endpoint, accessKeyId, secretAccessKey, bucket })
const { failed } = await migrate(new FileSystemStorage({ location }), target, {
  concurrency: Number(concurrency),
})
if (failed.length > 0) throw failed[0].error
