import type { S3Storage } from '../index.js'
import type { Cli } from './cli.js'
import { EXIT } from './exit-code.js'
import { Failure } from './failure.js'

/** The storage of a command that reads or writes the settings of a bucket. */
export async function bucketOf(cli: Cli, what: string): Promise<S3Storage> {
  const { S3Storage } = await import('../index.js')
  // A folder that is read through to has no settings.
  const storage = await cli.storage({ ...process.env, R2_FALLBACK_ROOT: undefined })
  if (storage instanceof S3Storage) return storage
  throw new Failure(
    'Unsupported',
    `${what} are settings of a bucket, and ${storage} has none: give --storage r2:bucket, or set R2_ENABLED=1`,
    EXIT.usage,
  )
}
