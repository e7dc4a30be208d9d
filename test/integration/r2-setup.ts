/** The strict R2 stand-in for one test file, and storages on it. */
import { R2Storage, type R2StorageOptions } from 'stowage'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import type { Answer, RequestInfo, Verdict } from '../servers/r2.js'
import { AS_R2, type StrictR2, type StrictR2Options, startStrictR2 } from '../servers/r2.js'

export const MIB = 1024 * 1024

export interface R2Setup {
  readonly server: StrictR2
  /** A storage on the server's first bucket. */
  storage(options?: Partial<R2StorageOptions>): R2Storage
  /** The operations that arrived, in order, without those of `except`. */
  operations(...except: string[]): string[]
}

export function setUpR2(fastPath: boolean, options: StrictR2Options = {}): R2Setup {
  let server: StrictR2 | undefined
  const running = () => {
    if (server === undefined) throw new Error('the server does not run yet')
    return server
  }
  beforeAll(async () => {
    server = await startStrictR2(options)
  })
  beforeEach(() => running().reset())
  afterAll(() => server?.stop())
  return {
    get server() {
      return running()
    },
    storage(changes = {}) {
      const { endpoint, accessKeyId, secretAccessKey, sessionToken } = running()
      const keys = { endpoint, accessKeyId, secretAccessKey, sessionToken }
      return new R2Storage({ ...keys, ...AS_R2, bucket: 'test-bucket', fastPath, ...changes })
    },
    operations(...except) {
      return running()
        .requests.map(({ operation }) => operation)
        .filter((operation) => !except.includes(operation))
    },
  }
}

/** The first `times` requests of an operation meet with `verdict`. */
export function first(operation: string, verdict: Verdict, times = 1): (info: RequestInfo) => Verdict {
  let left = times
  return (info) => {
    if (info.operation !== operation || left === 0) return undefined
    left -= 1
    return verdict
  }
}

/** Every request meets with this answer. */
export function always(verdict: Verdict): () => Verdict {
  return () => verdict
}

export const BUSY: Answer = { status: 503, code: 'ServiceUnavailable' }

/** A stream of `bytes` bytes in chunks, that nothing can read a second time. */
export async function* streamOf(bytes: number, chunk = 64 * 1024): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; left -= chunk) yield Buffer.alloc(Math.min(left, chunk), 'x')
}
