/** A header that is added to the table works everywhere. `headers-types.ts` holds what must not compile. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Storage } from 'stowage'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { Problem } from '../../src/errors.js'
import { HEADERS } from '../../src/headers.js'
import type { SaveOptions } from '../../src/types.js'
import { AS_R2, optionsOf, type StrictR2, startStrictR2 } from '../servers/r2.js'

/** No storage knows this one, but S3 has a field for it, so the SDK carries it. */
const HEADER = 'websiteRedirectLocation'
const HTTP_NAME = 'x-amz-website-redirect-location'
const VALUE = '/elsewhere'
const OPTIONS: SaveOptions & { [HEADER]: string } = { [HEADER]: VALUE, contentLanguage: 'de' }

// Before anything that derives from the table is loaded.
Reflect.set(HEADERS, HEADER, {
  http: HTTP_NAME,
  check: (value: unknown) => {
    if (typeof value !== 'string') throw new Problem('InvalidArgument', 'that leads nowhere')
    return value
  },
})
const { FileSystemStorage, MemoryStorage, migrate, prefixed, R2Storage, readThrough } = await import(
  '../../src/index.js'
)

let server: StrictR2
let folder: string
let made = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'stowage-headers-'))
  server = await startStrictR2({ moreHeaders: [HTTP_NAME] })
})
afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

const inBucket = (fastPath: boolean) =>
  new R2Storage({
    ...optionsOf(server),
    ...AS_R2,
    bucket: server.bucket().name,
    prefix: `${++made}`,
    fastPath,
  })
const backends: [string, () => Storage][] = [
  ['MemoryStorage', () => new MemoryStorage()],
  ['FileSystemStorage', () => new FileSystemStorage({ location: join(folder, `${++made}`), fsync: false })],
  ['R2Storage by HTTP', () => inBucket(true)],
  ['R2Storage by the SDK', () => inBucket(false)],
  ['prefixed(MemoryStorage)', () => prefixed(new MemoryStorage(), 'a')],
  ['readThrough(MemoryStorage, MemoryStorage)', () => readThrough(new MemoryStorage(), new MemoryStorage())],
]

async function expectHeader(storage: Storage, name: string): Promise<void> {
  const file = await storage.open(name)
  await file.close()
  for (const info of [await storage.stat(name), file]) {
    assert.deepEqual([Reflect.get(info, HEADER), info.contentLanguage], [VALUE, 'de'], name)
  }
}

describe.each(backends)('a new line in the table of headers, on %s', (_, makeStorage) => {
  it('is an option of save, and comes back from stat and open', async () => {
    const storage = makeStorage()
    await storage.save('a.txt', 'content', OPTIONS)
    await expectHeader(storage, 'a.txt')
    await storage.save('b.txt', 'content')
    assert.equal(HEADER in (await storage.stat('b.txt')), false)
  })

  it('is checked by its own rule', async () => {
    const storage = makeStorage()
    const saving: Promise<unknown> = Reflect.apply(storage.save, storage, ['a', '', { [HEADER]: 1 }])
    await assert.rejects(saving, { code: 'InvalidArgument', message: /that leads nowhere/ })
  })

  it('travels with a large file', async () => {
    const storage = makeStorage()
    await storage.save('a.bin', Buffer.alloc(9 * 1024 * 1024), OPTIONS)
    await expectHeader(storage, 'a.bin')
  })

  it('travels with a copy and a move', async () => {
    const storage = makeStorage()
    await storage.save('a.txt', 'content', OPTIONS)
    await storage.copy('a.txt', 'b.txt')
    await storage.move('a.txt', 'c.txt')
    await storage.copy('c.txt', 'b.txt', { ifExists: 'overwrite' })
    for (const name of ['b.txt', 'c.txt']) await expectHeader(storage, name)
  })

  it('is the default of a save of an opened file, and travels with a migration', async () => {
    const [source, storage, target] = [new MemoryStorage(), makeStorage(), new MemoryStorage()]
    await source.save('a.txt', 'content', OPTIONS)
    await storage.save('copy.txt', await source.open('a.txt'))
    await migrate(source, storage)
    await migrate(storage, target)
    for (const name of ['a.txt', 'copy.txt']) {
      await expectHeader(storage, name)
      await expectHeader(target, name)
    }
  })

  it('travels through readThrough when it is in the older storage', async () => {
    const [newer, older] = [new MemoryStorage(), makeStorage()]
    await older.save('a.txt', 'content', OPTIONS)
    const storage = readThrough(newer, older)
    await expectHeader(storage, 'a.txt')
    await storage.move('a.txt', 'b.txt')
    await expectHeader(newer, 'b.txt')
  })
})
