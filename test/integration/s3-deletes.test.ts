import { DeleteManyError } from 'stowage'
import { describe, expect, it } from 'vitest'
import { always, first, setUpR2 } from './r2-setup.js'

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  const plant = (count: number) => {
    const names = Array.from({ length: count }, (_, index) => `many/${index}.txt`)
    for (const name of names) r2.server.bucket().plant(name)
    return names
  }

  it('deletes 2,500 files by three requests', async () => {
    const names = plant(2_500)
    await r2.storage().deleteMany(names)
    expect(r2.operations()).toEqual(['DeleteObjects', 'DeleteObjects', 'DeleteObjects'])
    expect(r2.server.bucket().size).toBe(0)
  })

  it('deletes the names of a generator as they come', async () => {
    const names = plant(1_001)
    async function* generate() {
      yield* names
    }
    await r2.storage().deleteMany(generate())
    expect(r2.server.bucket().size).toBe(0)
    expect(r2.server.requests).toHaveLength(2)
  })

  it('tells which files could not be deleted and why, and deletes the rest', async () => {
    const names = plant(1_200)
    const locked = ['many/3.txt', 'many/1100.txt']
    r2.server.behaviour.onBulkDelete = (_, key) =>
      locked.includes(key) ? { code: 'AccessDenied', message: 'locked' } : undefined
    const error = await r2
      .storage()
      .deleteMany(names)
      .catch((caught: unknown) => caught)
    if (!(error instanceof DeleteManyError)) throw error
    expect(error).toMatchObject({ code: 'PartialDelete', status: 500 })
    expect(error.failures.map(({ name }) => name)).toEqual(locked)
    for (const failure of error.failures) {
      expect(failure.error).toMatchObject({ code: 'PermissionDenied', file: failure.name })
    }
    expect(error.deleted).toHaveLength(1_198)
    expect(error.message).toMatch(/2 of 1200 files/)
    expect(r2.server.bucket().keys().sort()).toEqual([...locked].sort())
  })

  it.each(['InternalError', 'UnknownError'])(
    'tries again what failed by %s, and nothing else',
    async (code) => {
      const names = plant(10)
      let failures = 2
      r2.server.behaviour.onBulkDelete = (_, key) =>
        key === 'many/3.txt' && failures-- > 0 ? { code, message: 'try again' } : undefined
      await r2.storage().deleteMany(names)
      expect(r2.server.bucket().size).toBe(0)
      expect(r2.server.requests).toHaveLength(3)
    },
  )

  it('takes missing files for deleted, and a whole request that fails is retried', async () => {
    r2.server.behaviour.onRequest = first('DeleteObjects', { status: 503 })
    await r2.storage().deleteMany(['none.txt', 'neither.txt'])
    await r2.storage().delete('none.txt')
    expect(r2.operations()).toEqual(['DeleteObjects', 'DeleteObjects', 'DeleteObject'])
  })

  it('deletes the rest when one of the requests fails as a whole, and tells what is left', async () => {
    const names = plant(2_500)
    let requests = 0
    r2.server.behaviour.onRequest = () =>
      ++requests === 2 ? { status: 403, code: 'AccessDenied' } : undefined
    const error = await r2
      .storage()
      .deleteMany(names)
      .catch((caught: unknown) => caught)
    if (!(error instanceof DeleteManyError)) throw error
    expect(error.failures.map(({ name }) => name)).toEqual(names.slice(1_000, 2_000))
    expect(error.failures[0]?.error).toMatchObject({ code: 'PermissionDenied', file: 'many/1000.txt' })
    expect(error.deleted).toEqual([...names.slice(0, 1_000), ...names.slice(2_000)])
    expect(new Set(r2.server.bucket().keys())).toEqual(new Set(names.slice(1_000, 2_000)))
  })

  it('does not try on and on when the server is out', async () => {
    const names = plant(5_500)
    let requests = 0
    r2.server.behaviour.onRequest = () => (++requests > 1 ? { status: 503 } : undefined)
    const error = await r2
      .storage({ maxAttempts: 1 })
      .deleteMany(names)
      .catch((caught: unknown) => caught)
    if (!(error instanceof DeleteManyError)) throw error
    expect(requests).toBe(3)
    expect(error.deleted).toEqual(names.slice(0, 1_000))
    expect(error.failures.map(({ name }) => name)).toEqual(names.slice(1_000))
  })

  it.each([1, 2])('is worth another try when the server did nothing at all: %s names', async (count) => {
    r2.server.behaviour.onRequest = always({ status: 503 })
    const storage = r2.storage({ maxAttempts: 2 })
    await expect(storage.deleteMany(['a', 'b'].slice(0, count))).rejects.toMatchObject({
      code: 'Unavailable',
      retryable: true,
    })
  })

  it('deletes below a folder only, also what no name fits, and counts first if asked to', async () => {
    for (const key of ['a/x', 'a/b/y', 'a//z', 'ab/x', 'a', 'b']) r2.server.bucket().plant(key)
    expect(await r2.storage().deletePrefix('a', { dryRun: true })).toEqual({ deleted: 3 })
    expect(r2.server.bucket().size).toBe(6)
    expect(await r2.storage().deletePrefix('a')).toEqual({ deleted: 3 })
    expect(r2.server.bucket().keys()).toEqual(['a', 'ab/x', 'b'])
  })

  it('deletes the rest below a folder before it says what it could not delete', async () => {
    plant(1_200)
    r2.server.behaviour.onBulkDelete = (_, key) =>
      key === 'many/3.txt' ? { code: 'ObjectLockedByBucketPolicy', message: 'locked' } : undefined
    await expect(r2.storage().deletePrefix('many')).rejects.toMatchObject({ code: 'PermissionDenied' })
    expect(r2.server.bucket().keys()).toEqual(['many/3.txt'])
  })

  it.each(['a/../b', 'a/./b', 'a/..'])('sends %s, of another writer, in no path', async (key) => {
    r2.server.bucket().plant(key)
    await r2.storage().deletePrefix('a')
    expect(r2.operations()).toEqual(['ListObjectsV2', 'DeleteObjects'])
    expect(r2.server.bucket().size).toBe(0)
  })

  it('says so when the source of a move could not be deleted: both files are there', async () => {
    r2.server.bucket().plant('from.txt', 'x')
    r2.server.behaviour.onRequest = ({ operation }) =>
      operation === 'DeleteObject' ? { status: 403, code: 'AccessDenied' } : undefined
    await expect(r2.storage().move('from.txt', 'to.txt')).rejects.toMatchObject({
      code: 'PermissionDenied',
      message: expect.stringContaining('the copy is at "to.txt"'),
    })
    expect(r2.server.bucket().keys()).toEqual(['from.txt', 'to.txt'])
  })

  it('fails as a whole where the bucket is gone', async () => {
    r2.server.behaviour.onRequest = always({ status: 404, code: 'NoSuchBucket' })
    await expect(r2.storage().deleteMany(['a', 'b'])).rejects.toMatchObject({ code: 'NotFound' })
  })
})
