import assert from 'node:assert/strict'
import { defaultExpiry, type ExpiryRule, expire, MemoryStorage, readOnly } from 'stowage'
import { afterEach, describe, it, vi } from 'vitest'
import { altered } from '../unit/altered.js'
import { failingDeletes, listing, namesIn, STORAGES } from './storages.js'

const DAY = 86_400
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const close of closing.splice(0)) await close()
})

describe.each(STORAGES)('expire on %s', (_, make) => {
  it('deletes what is old enough, by each rule', async () => {
    const { storage, age, close } = await make()
    closing.push(close)
    const ages: [string, number][] = [
      ['documents/1/old.pdf', 91],
      ['documents/1/young.pdf', 89],
      ['documents2/old.pdf', 91],
      ['voice_notes/1/old.ogg', 31],
      ['tmp/old.bin', 8],
      ['tmp/young.bin', 6],
      ['user_avatars/1.png', 1000],
    ]
    for (const [name, days] of ages) {
      await storage.save(name, 'x')
      await age(name, days * DAY)
    }
    const before = await namesIn(storage)
    const expected = {
      deleted: 3,
      bytes: 3,
      rules: [
        { prefix: 'documents', days: 90, deleted: 1, bytes: 1 },
        { prefix: 'voice_notes', days: 30, deleted: 1, bytes: 1 },
        { prefix: 'tmp', days: 7, deleted: 1, bytes: 1 },
      ],
      failed: [],
      invalidNames: 0,
    }
    assert.deepEqual(await expire(storage, defaultExpiry, { dryRun: true }), expected)
    assert.deepEqual(await namesIn(storage), before)
    assert.deepEqual(await expire(storage, defaultExpiry), expected)
    assert.deepEqual(await namesIn(storage), [
      'documents/1/young.pdf',
      'documents2/old.pdf',
      'tmp/young.bin',
      'user_avatars/1.png',
    ])
    const { deleted } = await expire(storage, defaultExpiry)
    assert.equal(deleted, 0)
  })
})

describe('expire', () => {
  const rule = (prefix: string, days: number): ExpiryRule => ({ prefix, days })

  it('counts days of 86,400 seconds, to the millisecond', async () => {
    const storage = new MemoryStorage()
    await storage.save('tmp/a', 'x')
    const { lastModified } = await storage.stat('tmp/a')
    const at = (milliseconds: number) => new Date(lastModified.getTime() + milliseconds)
    const early = await expire(storage, [rule('tmp', 7)], { now: at(7 * DAY * 1000 - 1) })
    assert.equal(early.deleted, 0)
    const due = await expire(storage, [rule('tmp', 7)], { now: at(7 * DAY * 1000) })
    assert.equal(due.deleted, 1)
    assert.deepEqual(await namesIn(storage), [])
  })

  it('takes the fewest days where rules overlap, and counts each file once', async () => {
    const file = (name: string, days: number) => ({ name, lastModified: new Date(-days * DAY * 1000) })
    const files = [file('a/b/x', 10), file('a/b/y', 40), file('a/c/x', 10), file('a/c/y', 40)]
    for (const rules of [
      [rule('a', 30), rule('a/b', 7), rule('a/c', 90)],
      [rule('a/c', 90), rule('a/b', 7), rule('a', 30)],
    ]) {
      const found = await expire(listing(files), rules, { now: new Date(0), dryRun: true })
      assert.deepEqual(
        new Map(found.rules.map(({ prefix, deleted }) => [prefix, deleted])),
        new Map([
          ['a', 1],
          ['a/b', 2],
          ['a/c', 0],
        ]),
      )
      assert.equal(found.deleted, 3)
    }
  })

  const wrong: [string, unknown, string][] = [
    ['an empty prefix', [rule('tmp', 1), rule('', 1)], 'InvalidName'],
    ['a root in other words', [rule('tmp', 1), rule('./', 1)], 'InvalidName'],
    ['a prefix that leaves', [rule('tmp', 1), rule('tmp/../x', 1)], 'InvalidName'],
    ['no days', [rule('tmp', 1), { prefix: 'b' }], 'InvalidArgument'],
    ['0 days', [rule('tmp', 1), rule('b', 0)], 'InvalidArgument'],
    ['half a day', [rule('tmp', 1), rule('b', 0.5)], 'InvalidArgument'],
    ['two rules for a folder', [rule('tmp', 1), rule('tmp/', 2)], 'InvalidArgument'],
    ['a misspelt field', [rule('tmp', 1), { prefix: 'b', day: 1 }], 'InvalidArgument'],
    ['null', [rule('tmp', 1), null], 'InvalidArgument'],
    ['no array', rule('tmp', 1), 'InvalidArgument'],
  ]
  it.each(wrong)('refuses %s before anything is deleted', async (_, rules, code) => {
    const storage = new MemoryStorage()
    await storage.save('tmp/a', 'x')
    const now = new Date(Date.now() + 100 * DAY * 1000)
    await assert.rejects(expire(storage, rules as ExpiryRule[], { now }), { code, operation: 'expire' })
    assert.deepEqual(await namesIn(storage), ['tmp/a'])
  })

  it.each([{ now: new Date(Number.NaN) }, { now: 5 }, { dryRun: 'yes' }, { dry: true }])(
    'refuses the options %j',
    async (options) => {
      const given = options as Parameters<typeof expire>[2]
      await assert.rejects(expire(new MemoryStorage(), defaultExpiry, given), { code: 'InvalidArgument' })
    },
  )

  it('says what could not be deleted, and deletes the rest', async () => {
    const base = new MemoryStorage()
    for (let index = 0; index < 2500; index++) await base.save(`tmp/${index}`, 'x')
    const broken = new Set(['tmp/7', 'tmp/2400'])
    const storage = failingDeletes(base, (name) => broken.has(name))
    const now = new Date(Date.now() + 8 * DAY * 1000)
    const found = await expire(storage, [rule('tmp', 7)], { now })
    assert.equal(found.deleted, 2498)
    assert.deepEqual(
      found.failed.map(({ name, error }) => [name, error.code]),
      [
        ['tmp/2400', 'Unknown'],
        ['tmp/7', 'Unknown'],
      ],
    )
    assert.deepEqual(await namesIn(base), ['tmp/2400', 'tmp/7'])
  })

  it('rejects where nothing may be deleted, or the caller has enough', async () => {
    const base = new MemoryStorage()
    await base.save('tmp/a', 'x')
    const now = new Date(Date.now() + 8 * DAY * 1000)
    await assert.rejects(expire(readOnly(base), defaultExpiry, { now }), { code: 'PermissionDenied' })
    const signal = AbortSignal.abort()
    await assert.rejects(expire(base, defaultExpiry, { now, signal }), { code: 'Aborted' })
    assert.deepEqual(await namesIn(base), ['tmp/a'])
  })

  it('deletes what was found, while a long listing goes on', async () => {
    const deleted: (readonly string[])[] = []
    let now = 0
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    const storage = altered(new MemoryStorage(), () => ({
      async *list() {
        for (const name of ['tmp/old', 'tmp/young', 'tmp/younger']) {
          const lastModified = name === 'tmp/old' ? new Date(0) : new Date()
          yield [{ name, size: 1, lastModified, etag: '"x"' }]
          if (name !== 'tmp/old') assert.deepEqual(deleted, [['tmp/old']])
          now += 11_000
        }
      },
      async remove(names) {
        deleted.push(names)
        return []
      },
    }))
    assert.equal((await expire(storage, [rule('tmp', 7)])).deleted, 1)
  })

  it('has rules that nobody can change by accident', () => {
    assert.equal(Object.isFrozen(defaultExpiry) && defaultExpiry.every(Object.isFrozen), true)
  })
})
