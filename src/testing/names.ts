import assert from 'node:assert/strict'
import { isStorageError } from '../errors.js'
import type { Storage } from '../storage.js'
import { type ConformanceCase, type ConformanceHarness, caseOfMany, cases } from './case.js'
import { assertEmpty, assertFiles, invoke, invokeList, namesOf, rejects, textOf } from './expect.js'
import {
  LEGAL_NAMES,
  LONG_NAMES,
  NORMALISED_NAMES,
  nameOf,
  REFUSED_NAMES,
  type RefusedName,
  shown,
} from './odd-names.js'

/** Whatever is done with a file does it with this very name, and with no other that looks like it. */
async function keeps(name: string, storage: Storage, harness: ConformanceHarness): Promise<void> {
  const content = `the content of ${name}`
  const size = Buffer.byteLength(content)
  assert.equal(await storage.save(name, content, { contentType: 'text/plain' }), name)
  assert.equal(await textOf(storage, name), content)
  const info = await storage.stat(name)
  assert.deepEqual([info.name, info.size], [name, size])
  assert.equal(await storage.size(name), size)
  assert.equal(await storage.exists(name), true)
  assert.deepEqual(await namesOf(storage), [name])
  assert.deepEqual(await storage.listdir(folderOf(name)), { directories: [], files: [baseOf(name)] })
  assertAddress(storage.url(name), name)
  for (const other of lookalikes(name)) {
    assert.equal(
      await existsIfLegal(storage, other),
      false,
      `${JSON.stringify(other)} is no name of the file`,
    )
  }
  const copy = await storage.copy(name, `copy of/${name}`)
  assert.equal(copy, `copy of/${name}`)
  assert.equal(await textOf(storage, copy), content)
  if (harness.signedUrls === 'http') {
    const response = await fetch(await storage.signedUrl(name))
    assert.deepEqual([response.status, await response.text()], [200, content])
  } else {
    await rejects('Unsupported', () => storage.signedUrl(name))
  }
  await storage.delete(name)
  assert.equal(await storage.exists(name), false)
  assert.deepEqual(await namesOf(storage), [copy])
  await storage.delete(copy)
}

function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}

function baseOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** The address is one that a browser takes as it is, and its last segments are the name's, encoded once. */
function assertAddress(url: string, name: string): void {
  assert.match(url, /^[\x21-\x7e]+$/)
  const { pathname, search, hash } = new URL(url, 'http://localhost/')
  assert.deepEqual([search, hash], ['', ''], `the name is cut short in ${url}`)
  const segments = pathname.split('/').slice(-name.split('/').length)
  assert.equal(segments.map(decodeURIComponent).join('/'), name)
}

/** What a backend that decodes, encodes, trims or folds once too often would take for the same name. */
function lookalikes(name: string): Set<string> {
  const others = new Set([
    encodeURI(name),
    name.replaceAll('+', ' '),
    name.replaceAll(' ', '+'),
    name.replaceAll('%', '%25'),
    name.trim(),
    name.replace(/[. ]+$/, ''),
    name.normalize('NFKC'),
    name.replace(/[*?].*/, ''),
    name.replace(/[?#].*/, ''),
  ])
  try {
    others.add(decodeURIComponent(name))
  } catch {
    // Not every name with a percent sign looks encoded.
  }
  others.delete(name)
  return others
}

async function existsIfLegal(storage: Storage, name: string): Promise<boolean> {
  try {
    return await storage.exists(name)
  } catch (error) {
    if (isStorageError(error) && error.code === 'InvalidName') return false
    throw error
  }
}

const UPLOAD = { size: 1, contentType: 'text/plain' }

/** Every method that takes a name, called with it. */
const BY_NAME: Readonly<Record<string, (storage: Storage, name: unknown) => Promise<unknown>>> = {
  save: (storage, name) => invoke(storage, 'save', name, 'harm', { ifExists: 'overwrite' }),
  open: (storage, name) => invoke(storage, 'open', name),
  exists: (storage, name) => invoke(storage, 'exists', name),
  stat: (storage, name) => invoke(storage, 'stat', name),
  size: (storage, name) => invoke(storage, 'size', name),
  // The only method that is synchronous, so it throws.
  url: async (storage, name) => Reflect.apply(storage.url, storage, [name]),
  signedUrl: (storage, name) => invoke(storage, 'signedUrl', name),
  signedUpload: (storage, name) => invoke(storage, 'signedUpload', name, UPLOAD),
  delete: (storage, name) => invoke(storage, 'delete', name),
  deleteMany: (storage, name) => invoke(storage, 'deleteMany', ['a', name]),
  'copy from': (storage, name) => invoke(storage, 'copy', name, 'c'),
  'copy to': (storage, name) => invoke(storage, 'copy', 'a', name, { ifExists: 'overwrite' }),
  'move from': (storage, name) => invoke(storage, 'move', name, 'c'),
  'move to': (storage, name) => invoke(storage, 'move', 'a', name, { ifExists: 'overwrite' }),
}

/** Every method that takes a folder, called with it. */
const BY_FOLDER: Readonly<Record<string, (storage: Storage, folder: unknown) => Promise<unknown>>> = {
  list: (storage, folder) => invokeList(storage, folder),
  listdir: (storage, folder) => invoke(storage, 'listdir', folder),
  deletePrefix: (storage, folder) => invoke(storage, 'deletePrefix', folder),
}

const BAITS = { a: 'content of a', b: 'content of b' }

async function refuses(refused: RefusedName, storage: Storage): Promise<void> {
  for (const [name, content] of Object.entries(BAITS)) await storage.save(name, content)
  for (const [label, call] of Object.entries(BY_NAME)) {
    await assertRefused(label, storage, refused.name, call)
  }
  for (const [label, call] of Object.entries(BY_FOLDER)) {
    const fine = refused.asFolder === 'folder' || (refused.asFolder === 'root' && label !== 'deletePrefix')
    if (fine) await call(storage, refused.name)
    else await assertRefused(label, storage, refused.name, call)
  }
  await assertFiles(storage, BAITS)
  await storage.deleteMany(Object.keys(BAITS))
}

async function assertRefused(
  label: string,
  storage: Storage,
  name: unknown,
  call: (storage: Storage, name: unknown) => Promise<unknown>,
): Promise<void> {
  const error = await rejects('InvalidName', () => call(storage, name), label)
  assert.deepEqual([error.name, error.status, error.retryable], ['InvalidNameError', 400, false])
  assert.deepEqual([error.operation, error.storage], [label.split(' ')[0], String(storage)])
  if (typeof name === 'string') assert.equal(error.file, name)
}

/** A name in another form than the one it is stored under. */
async function normalises(
  [input, stored]: readonly [input: string, stored: string],
  storage: Storage,
  harness: ConformanceHarness,
): Promise<void> {
  assert.equal(await storage.save(input, 'content'), stored)
  for (const name of [input, stored]) {
    assert.equal(await textOf(storage, name), 'content')
    assert.equal((await storage.stat(name)).name, stored)
    assert.equal((await storage.open(name)).name, stored)
    assert.equal(await storage.exists(name), true)
    assert.equal(storage.url(name), storage.url(stored))
  }
  assert.deepEqual(await namesOf(storage), [stored])
  assert.notEqual(await storage.save(input, 'another'), stored)
  assert.equal(await storage.copy(input, `copy/${input}`), `copy/${stored}`)
  if (harness.signedUrls === 'http') {
    const response = await fetch(await storage.signedUrl(input))
    assert.equal(await response.text(), 'content')
  }
  await storage.delete(input)
  assert.equal(await storage.exists(stored), false)
  await storage.deleteMany(await namesOf(storage))
}

/** A name of 1,024 bytes: a storage whose prefix takes its share refuses it. */
async function keepsOrRefuses(
  character: string,
  storage: Storage,
  harness: ConformanceHarness,
): Promise<void> {
  const name = nameOf(1024, character)
  assert.equal(Buffer.byteLength(name), 1024)
  try {
    assert.equal(await storage.save(name, 'content'), name)
  } catch (error) {
    assert(isStorageError(error) && error.code === 'InvalidName', String(error))
    await assertEmpty(storage)
    for (const [label, call] of Object.entries(BY_NAME)) await assertRefused(label, storage, name, call)
    return
  }
  assert.equal(await textOf(storage, name), 'content')
  assert.deepEqual(await namesOf(storage), [name])
  assert.equal((await storage.stat(name)).name, name)
  assertAddress(storage.url(name), name)
  if (harness.signedUrls === 'http') {
    assert.equal(await (await fetch(await storage.signedUrl(name))).text(), 'content')
  }
  await storage.delete(name)
  assert.equal(await storage.exists(name), false)
}

export const nameCases: readonly ConformanceCase[] = [
  ...Object.entries(LEGAL_NAMES).map(([sort, names]) =>
    caseOfMany(`names: every method keeps names of ${sort}`, names, shown, keeps),
  ),
  caseOfMany(
    'names: every method keeps the longest names',
    LONG_NAMES,
    ({ label }) => label,
    ({ name }, ...given) => keeps(name, ...given),
  ),
  caseOfMany(
    'names: other forms of a name are the same file',
    NORMALISED_NAMES,
    ([input]) => shown(input),
    normalises,
  ),
  caseOfMany(
    'names: a name of 1,024 bytes is kept, or refused where a prefix takes its share',
    ['n', '☺'],
    shown,
    keepsOrRefuses,
  ),
  ...Object.entries(REFUSED_NAMES).map(([sort, names]) =>
    caseOfMany(
      `names: every method refuses ${sort} and touches nothing`,
      names,
      ({ label }) => label,
      refuses,
    ),
  ),
  ...cases('names', {
    'every method refuses a value that is not a string and touches nothing': async (storage) => {
      await storage.save('a', 'content of a')
      for (const value of [undefined, null, 42, true, {}, ['a'], Buffer.from('a')]) {
        for (const [label, call] of Object.entries(BY_NAME)) {
          await assertRefused(label, storage, value, call)
        }
        for (const [label, call] of Object.entries(BY_FOLDER)) {
          const isDefault = value === undefined && label !== 'deletePrefix'
          if (!isDefault) await assertRefused(label, storage, value, call)
        }
      }
      await assertFiles(storage, { a: 'content of a' })
    },
    'the error of a refused name does not tell whether a file is there': async (storage) => {
      const before = await rejects('InvalidName', () => storage.stat('a/../secret'))
      await storage.save('secret', 'content')
      const after = await rejects('InvalidName', () => storage.stat('a/../secret'))
      assert.equal(after.message, before.message)
    },
    'names that differ only in what a URL decoder drops are different files': async (storage) => {
      const names = [
        'a b',
        'a%20b',
        'a+b',
        'a%2Bb',
        'a%2520b',
        'a  b',
        'a b ',
        ' a b',
        'anyfilename%25.txt',
        'anyfilename%.txt',
      ]
      for (const name of names) assert.equal(await storage.save(name, `content of ${name}`), name)
      await assertFiles(storage, Object.fromEntries(names.map((name) => [name, `content of ${name}`])))
    },
    'names that differ only in case are two files, or the second is renamed': async (storage) => {
      await storage.save('Report.txt', 'upper')
      const second = await storage.save('report.txt', 'lower')
      assert.notEqual(second, 'Report.txt')
      assert.equal(await textOf(storage, 'Report.txt'), 'upper')
      assert.equal(await textOf(storage, second), 'lower')
    },
    'a folder argument follows the rule for names, and may end in a slash': async (storage) => {
      await storage.save('caf\u00E9/menu/a.txt', 'content')
      for (const folder of [
        'caf\u00E9/menu',
        'cafe\u0301/menu/',
        'caf\u00E9\\menu\\',
        './caf\u00E9//menu/.',
      ]) {
        assert.deepEqual(await namesOf(storage, folder), ['caf\u00E9/menu/a.txt'])
        assert.deepEqual(await storage.listdir(folder), { directories: [], files: ['a.txt'] })
        assert.deepEqual(await storage.deletePrefix(folder, { dryRun: true }), { deleted: 1 })
      }
    },
  }),
]
