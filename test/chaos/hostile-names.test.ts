/** Names that mean harm, by the thousands, through every method of every backend. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { FileSystemStorage, MemoryStorage, R2Storage, type Storage } from 'stowage'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LEGAL_NAMES, LONG_NAMES, NORMALISED_NAMES, REFUSED_NAMES } from '../../src/testing/odd-names.js'
import { optionsOf, type StrictR2, startStrictR2 } from '../servers/r2.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'
import { answerOf, FOLDER_METHODS, folderFor, hostileName, METHODS, nameFor, snapshot } from './hostile.js'

const MANY = { quick: 300, long: 2_000, soak: 2_000 }[FORM]

/** Around the root: nothing there may be touched, and no answer may reveal whether it exists. */
let around: string
let root: string
/** Whether a read leaves a trace in the file's read time. */
let readTimes = false
let server: StrictR2

beforeAll(async () => {
  around = await mkdtemp(join(tmpdir(), 'stowage-hostile-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'strictatime,size=64m', 'tmpfs', around], { stdio: 'ignore' })
    readTimes = true
  } catch {
    console.log('No mount of our own: reads outside the root are told by what is returned, not by times.')
  }
  root = join(around, 'root')
  // The same beginning as the root's path, and names that the pieces of hostile names lead to.
  for (const folder of ['root-outside/etc', 'etc', 'a', '.stowage/meta', 'root-outside/.stowage/tmp'])
    await mkdir(join(around, folder), { recursive: true })
  for (const file of [
    'secret.txt',
    'passwd',
    'etc/passwd',
    'a/b.txt',
    'root-outside/secret.txt',
    '.stowage/meta/x',
  ])
    await writeFile(join(around, file), `canary ${file}`)
  await symlink('secret.txt', join(around, 'root-outside/link'))
  server = await startStrictR2()
})
afterAll(async () => {
  if (readTimes) execFileSync('umount', [around])
  await rm(around, { recursive: true, force: true })
  await server.stop()
})

/** All that lies around the root, but not the root. */
function outside(): Promise<string[]> {
  return snapshot(around, root, readTimes)
}

const KNOWN = [
  ...[...Object.values(REFUSED_NAMES).flat(), ...LONG_NAMES].map(({ name }) => name),
  ...Object.values(LEGAL_NAMES).flat(),
  ...NORMALISED_NAMES.map(([input]) => input),
  ...[
    '../secret.txt',
    '../root-outside/secret.txt',
    '..\\secret.txt',
    'a/../../secret.txt',
    '../root/../etc/passwd',
  ],
  ...[
    '%2e%2e/secret.txt',
    '%2e%2e%2fsecret.txt',
    '..%2fsecret.txt',
    '\u2024\u2024/secret.txt',
    '\uff0e\uff0e/secret.txt',
  ],
]

interface Counts {
  names: number
  refused: number
  calls: number
}

/** Tries one text as a name and as a folder, everywhere. What it should come to is told by the rule. */
async function tryName(
  storage: Storage,
  text: string,
  limit: number,
  counts: Counts,
  requests: () => number,
) {
  const name = nameFor(text, limit)
  const methods = Object.entries(METHODS)
  counts.names += 1
  counts.calls += methods.length
  if (name === null) {
    counts.refused += 1
    const inside = await filesIn(storage)
    const before = requests()
    for (const [method, call] of methods) {
      const { code, message } = await answerOf(() => call(storage, text))
      // What only comes in has been begun when the bad name is met.
      assert.equal(
        code,
        method.startsWith('deleteMany of') ? 'PartialDelete' : 'InvalidName',
        `${method}: ${message}`,
      )
      assert.ok(!/\n|canary/.test(message) && message.length < 2_500, `${method}: ${message}`)
    }
    // `move to` saves the file that it moves.
    const saved = requests() - before
    assert.ok(saved <= 1, `${saved} requests for a name that is refused`)
    assert.deepEqual(await filesIn(storage), inside)
    return
  }
  assert.equal(await METHODS.save?.(storage, text), name)
  assert.equal(await METHODS.open?.(storage, text), 'hostile')
  assert.equal((await storage.stat(text)).name, name)
  for (const [method, call] of methods) {
    const { code, message } = await answerOf(() => call(storage, text))
    // Below a file or in the place of a folder nothing can be stored on disk; elsewhere everything must work.
    const fine = ['none', 'Unsupported', 'AlreadyExists', 'NotFound', 'RangeNotSatisfiable', 'PartialDelete']
    assert.ok(fine.includes(code), `${method}: ${code} ${message}`)
  }
  assert.equal(await storage.exists(text), false)
}

/** All files as callers see them, except the one that `move to` makes for itself. */
async function filesIn(storage: Storage): Promise<string[]> {
  const files: string[] = []
  for await (const { name } of storage.list())
    if (name !== 'to-move.txt') files.push(`${name}: ${await (await storage.open(name)).text()}`)
  return files
}

async function tryFolder(storage: Storage, text: string, counts: Counts) {
  counts.calls += 4
  const folder = folderFor(text)
  for (const [method, call] of Object.entries(FOLDER_METHODS)) {
    const { code, value, message } = await answerOf(() => call(storage, text))
    assert.ok(!JSON.stringify(value ?? '').includes('secret.txt'), `${method} shows ${JSON.stringify(value)}`)
    const refused = folder === null || (folder === '' && method.startsWith('deletePrefix'))
    assert.equal(code, refused ? 'InvalidName' : 'none', `${method} ${JSON.stringify(text)}: ${message}`)
  }
}

async function explore(
  storage: Storage,
  limit: number,
  times: number,
  requests: () => number,
): Promise<Counts> {
  const counts: Counts = { names: 0, refused: 0, calls: 0 }
  await storage.save('mine.txt', 'mine')
  for (const text of KNOWN) {
    await tryName(storage, text, limit, counts, requests)
    await tryFolder(storage, text, counts)
    await storage.save('mine.txt', 'mine', { ifExists: 'overwrite' })
  }
  const property = fc.asyncProperty(hostileName, async (text) => {
    await tryName(storage, text, limit, counts, requests)
    await tryFolder(storage, text, counts)
    await storage.save('mine.txt', 'mine', { ifExists: 'overwrite' })
  })
  await fc.assert(property, { numRuns: times, seed: SEED })
  return counts
}

function tell(backend: string, { names, refused, calls }: Counts, outcome: string): void {
  const tried = [names, refused, calls].map((count) => count.toLocaleString('en'))
  report({
    trial: `hostile names: ${backend}`,
    tried: `${tried[0]} names, ${tried[1]} of them to be refused; ${tried[2]} calls`,
    outcome,
  })
}

describe('a hostile name', () => {
  it('leads nowhere out of the root on disk', async () => {
    const before = await outside()
    const storage = new FileSystemStorage({ location: root, fsync: false })
    const counts = await explore(storage, 1024, MANY, () => 0)
    expect(await outside()).toEqual(before)
    tell('FileSystemStorage', counts, 'nothing outside the root read, written or revealed')
  })

  it('is in memory what it is on disk', async () => {
    const counts = await explore(new MemoryStorage(), 1024, MANY, () => 0)
    tell('MemoryStorage', counts, 'each refused or kept as the rule says')
  })

  it.each([true, false])(
    'sends no request to R2, and a legal one is kept: fast path %s',
    async (fastPath) => {
      const prefix = 'tenants/7'
      // Another tenant's files, which no name may lead to.
      server.reset()
      const plant = ['tenants/8/secret.txt', 'tenants/secret.txt', 'secret.txt', 'tenants/77/secret.txt']
      for (const key of plant) server.bucket().plant(key, 'canary')
      const storage = new R2Storage({ ...optionsOf(server), bucket: 'test-bucket', prefix, fastPath })
      let total = 0
      const requests = () => {
        total += server.requests.length
        server.requests.length = 0
        return total
      }
      const counts = await explore(storage, 1024 - 'tenants/7/'.length, Math.ceil(MANY / 12), requests)
      for await (const { name } of storage.list()) assert.ok(!name.includes('secret'))
      const keys = server.bucket().keys()
      for (const key of plant) assert.ok(keys.includes(key), key)
      assert.ok(keys.every((key) => plant.includes(key) || key.startsWith('tenants/7/')))
      tell(
        `R2Storage with a prefix, fast path ${fastPath ? 'on' : 'off'}`,
        counts,
        'no key outside the prefix touched',
      )
    },
  )

  it('is refused alike whether or not there is something', async () => {
    const storage = new FileSystemStorage({ location: root, fsync: false })
    await storage.save('mine.txt', 'mine', { ifExists: 'overwrite' })
    const pairs = [
      ['../root-outside/secret.txt', '../root-outside/nosuch.txt'],
      ['../secret.txt', '../nosuch.txt'],
      [join(around, 'secret.txt'), join(around, 'nosuch.txt')],
      ['/etc/passwd', '/etc/nosuch'],
      ['.stowage/tmp', '.stowage/nil'],
    ]
    for (const [there = '', missing = ''] of pairs) {
      for (const [method, call] of Object.entries({ ...METHODS, ...FOLDER_METHODS })) {
        const [first, second] = [
          await answerOf(() => call(storage, there)),
          await answerOf(() => call(storage, missing)),
        ]
        assert.equal(first.code, second.code, method)
        assert.notEqual(first.code, 'none', `${method} ${there}`)
        assert.equal(
          first.message.replaceAll(JSON.stringify(there), ''),
          second.message.replaceAll(JSON.stringify(missing), ''),
        )
      }
    }
  })
})

/** Where links in the root may lead, by which somebody else has put them there. */
const LEADS: Readonly<Record<string, string>> = {
  'absolute, to a file': '/AROUND/secret.txt',
  'absolute, to a folder': '/AROUND/root-outside',
  'relative, to a file': '../secret.txt',
  'relative, to a folder': '../root-outside',
  'to the folder above the root': '..',
  'to a link outside': '../root-outside/link',
  'to nothing outside': '../root-outside/new.txt',
  'to a folder that is not there': '../gone/deep',
  'to the root of the system': '/',
  'to the environment of this process': '/proc/self/environ',
  'to the memory of this process': '/proc/self/mem',
  'to the folders of processes': '/proc/self',
  'to the root by way of a process': '/proc/self/root',
  'to an open file of this process': '/proc/self/fd/0',
  'to a device without end': '/dev/zero',
  'to a device that takes everything': '/dev/null',
  'to the devices': '/dev',
  'to itself': 'LINK',
  "to the storage's own folder": '.stowage',
  "to the storage's own temporary files": '.stowage/tmp',
}

describe('a link in the root', () => {
  let total = 0
  afterAll(() => {
    const tried = `${Object.keys(LEADS).length * 4} links, ${total.toLocaleString('en')} calls`
    report({
      trial: 'links that lead out of the root',
      tried,
      outcome: 'nothing outside read, written or revealed',
    })
  })

  it.each(Object.entries(LEADS))('%s is no way out', async (_, lead) => {
    await rm(root, { recursive: true, force: true })
    const storage = new FileSystemStorage({ location: root, fsync: false })
    await storage.save('mine.txt', 'mine', { metadata: { by: 'me' } })
    const before = await outside()
    let calls = 0
    // As a file, as a folder, deep down, and at the end of a chain.
    for (const link of ['link', 'x.txt', 'deep/er/link', 'chain']) {
      const target = lead.replace('/AROUND', around).replace('LINK', link)
      const up = '../'.repeat(link.split('/').length - 1)
      await mkdir(dirname(join(root, link)), { recursive: true })
      const path = target.startsWith('/') ? target : up + target
      await symlink(link === 'chain' ? 'chained' : path, join(root, link))
      if (link === 'chain') await symlink(path, join(root, 'chained'))
      const below = [
        'secret.txt',
        'passwd',
        'null',
        'fd/0',
        'new.txt',
        'swept',
        `${around}/secret.txt`.slice(1),
      ]
      for (const name of [link, ...below.map((each) => `${link}/${each}`)]) {
        for (const [method, call] of Object.entries(METHODS)) {
          // What replaces or removes a link is tried at the end, below.
          if (name === link && /overwrite|^(?:save$|save with|copy to|move|delete)/.test(method)) continue
          const { value } = await answerOf(() => call(storage, name))
          calls += 1
          if (/^(?:open|stat|size|copy from|move from)/.test(method))
            assert.equal(value, undefined, `${method} ${name}`)
          if (method === 'exists') assert.equal(value, false, name)
        }
      }
      for (const [method, call] of Object.entries(FOLDER_METHODS)) {
        const { value } = await answerOf(() => call(storage, link))
        calls += 1
        const nothing = [[], { directories: [], files: [] }, { deleted: 0 }]
        assert.ok(
          nothing.some((each) => JSON.stringify(each) === JSON.stringify(value)),
          `${method}: ${JSON.stringify(value)}`,
        )
      }
    }
    expect(await outside()).toEqual(before)
    for (const link of ['link', 'x.txt', 'deep/er/link', 'chain']) {
      await METHODS.save?.(storage, link)
      await storage.delete(link)
      calls += 2
    }
    expect(await outside()).toEqual(before)
    expect(await readFile(join(root, 'mine.txt'), 'utf8')).toBe('mine')
    total += calls
  })
})
