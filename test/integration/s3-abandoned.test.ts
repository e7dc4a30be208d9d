/** What killed processes leave on servers that complete an upload over whatever is there: placeholders and probes. */
import { FileExistsError, MemoryStorage, migrate, type R2StorageOptions } from 'stowage'
import { describe, expect, it } from 'vitest'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

const SECOND = 1000
const MINUTE = 60 * SECOND
/** The upload of a killed save, which a lifecycle rule has aborted. */
const GONE = 'an-upload-that-is-gone'

describe.each([{ fastPath: true }, { fastPath: false }])('fastPath $fastPath', ({ fastPath }) => {
  const r2 = setUpR2(fastPath, { conditionalCopyHeader: false })
  /** The stand-in is a server like Ceph: its completions are not conditional. */
  const options: Partial<R2StorageOptions> = {
    conditionalCompletion: false,
    conditionalCopy: false,
    partSize: 5 * MIB,
  }
  const storage = (changes: Partial<R2StorageOptions> = {}) => r2.storage({ ...options, ...changes })
  const textOf = async (name: string) => (await storage().open(name)).text()
  const save = (content: string | AsyncIterable<Buffer>) =>
    storage().save('a.txt', content, { ifExists: 'error' })

  /** A placeholder of a save that was killed so long ago. */
  function abandon(age: number, uploadId = GONE): void {
    const metadata = { 'stowage-claim': uploadId }
    r2.server.bucket().plant('a.txt', `placeholder ${Math.random()}`, { metadata })
    backdate('a.txt', age)
  }

  function backdate(key: string, milliseconds: number): void {
    Object.assign(r2.server.bucket().get(key) ?? {}, { lastModifiedMs: Date.now() - milliseconds })
  }

  it('the placeholder of a killed save does not hold its name', async () => {
    abandon(31 * SECOND)
    expect(await storage().exists('a.txt')).toBe(false)
    expect(await save('new')).toBe('a.txt')
    expect(await textOf('a.txt')).toBe('new')
  })

  it('nor for a large save', async () => {
    abandon(31 * SECOND)
    expect(await save(streamOf(6 * MIB))).toBe('a.txt')
    expect(await storage().size('a.txt')).toBe(6 * MIB)
    expect(r2.server.openUploads).toBe(0)
  })

  it('a young one does, since its save may still run', async () => {
    abandon(20 * SECOND)
    await expect(save('new')).rejects.toBeInstanceOf(FileExistsError)
    await expect(save(streamOf(6 * MIB))).rejects.toBeInstanceOf(FileExistsError)
    expect(await storage().save('a.txt', 'new')).toMatch(/^a_\w{7}\.txt$/)
    expect(r2.operations()).not.toContain('AbortMultipartUpload')
  })

  it('that of a copy on the server holds its name for longer, since nothing can end the copy', async () => {
    abandon(5 * MINUTE, '1')
    await expect(save('new')).rejects.toBeInstanceOf(FileExistsError)
    abandon(21 * MINUTE, '1')
    expect(await save('new')).toBe('a.txt')
  })

  it('it is replaced once, however many find it', async () => {
    abandon(31 * SECOND)
    const saves = await Promise.allSettled(Array.from({ length: 20 }, (_, n) => save(`${n}`)))
    const winners = saves.flatMap(({ status }, n) => (status === 'fulfilled' ? [`${n}`] : []))
    expect(winners).toEqual([await textOf('a.txt')])
    const losers = saves.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []))
    expect(new Set(losers)).toEqual(new Set(['AlreadyExists']))
  })

  it('a real file is never replaced, whatever it looks like', async () => {
    abandon(31 * SECOND)
    // Another writer comes between the look and the replacement.
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation === 'AbortMultipartUpload') r2.server.bucket().plant('a.txt', 'precious')
      return undefined
    }
    await expect(save('new')).rejects.toBeInstanceOf(FileExistsError)
    expect(await textOf('a.txt')).toBe('precious')
  })

  it('a save that was only slow fails, and writes over nothing', async () => {
    let other: Promise<string> | undefined
    r2.server.behaviour.onRequest = async ({ operation, key }) => {
      if (operation !== 'CompleteMultipartUpload' || other) return undefined
      // Its completion hangs, and somebody else finds the placeholder half a minute later.
      backdate(key, 31 * SECOND)
      other = save('other')
      await other
      return undefined
    }
    const slow = storage({ maxAttempts: 2 }).save('a.txt', streamOf(6 * MIB), { ifExists: 'error' })
    await expect(slow).rejects.toThrow()
    expect(await other).toBe('a.txt')
    expect(await textOf('a.txt')).toBe('other')
    expect(r2.server.openUploads).toBe(0)
  })

  it('a migration counts it as missing, and waits for a young one', async () => {
    const source = new MemoryStorage()
    await source.save('a.txt', 'text')
    await source.save('b.txt', 'text')
    abandon(27 * SECOND)
    expect(await migrate(source, storage(), { dryRun: true })).toMatchObject({ copied: 2, failed: [] })
    expect(await migrate(source, storage())).toMatchObject({ copied: 2, skipped: 0, failed: [] })
    expect(await textOf('a.txt')).toBe('text')
  })

  describe('probes', () => {
    const unknown = () => storage({ conditionalCompletion: undefined })
    const probes = () =>
      r2.server
        .bucket()
        .keys()
        .filter((key) => key.includes('.stowage/'))

    it('of processes that were killed leave one object at most, and the next probe deletes it', async () => {
      r2.server.behaviour.onRequest = ({ operation }) => (operation === 'DeleteObject' ? 'hang' : undefined)
      for (let n = 0; n < 3; n++) await unknown().save(`${n}.txt`, 'x')
      expect(probes()).toEqual(['.stowage/probe-put'])
      r2.server.behaviour.onRequest = undefined
      expect(await unknown().save('b.txt', 'x')).toBe('b.txt')
      expect(probes()).toEqual([])
    })

    it('of a completion are confirmed where another process has deleted the object', async () => {
      r2.server.behaviour.onRequest = ({ operation, key }) => {
        const isShared = key === '.stowage/probe-completion'
        if (isShared && operation === 'CompleteMultipartUpload') r2.server.bucket().delete(key)
        return undefined
      }
      expect(await unknown().save('a.txt', streamOf(6 * MIB))).toBe('a.txt')
      // No placeholder: the server honours conditions.
      expect(
        r2.server.requests.filter(({ key, operation }) => key === 'a.txt' && operation === 'PutObject'),
      ).toEqual([])
      expect(probes()).toEqual([])
    })

    it('of many processes at a time all come to the right end', async () => {
      const saves = Array.from({ length: 30 }, (_, n) =>
        unknown().save(`${n}.txt`, 'x', { ifExists: 'error' }),
      )
      expect(await Promise.all(saves)).toHaveLength(30)
      r2.server.behaviour.conditionalWrites = false
      const refused = await Promise.allSettled(
        Array.from({ length: 30 }, (_, n) => unknown().save(`x${n}`, 'x')),
      )
      expect(refused.every((each) => each.status === 'rejected' && each.reason.code === 'Unsupported')).toBe(
        true,
      )
    })
  })
})
