/** Names and surroundings that mean harm, and the naming rule once more, written from its description alone. */
import { createHash } from 'node:crypto'
import { close, constants, open, read } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { isStorageError, type Storage } from 'stowage'

/** What names are put together from: separators, encodings of them, look-alikes, and what systems read into names. */
const PIECES = [
  ...['..', '.', '/', '\\', '//', '../', '..\\', './', '/..', '/.', '...', '....//', '..;/', '..%00/'],
  ...[
    '%2e',
    '%2e%2e',
    '%2f',
    '%5c',
    '%2e%2e%2f',
    '%252e%252e%252f',
    '%c0%ae%c0%ae/',
    '%00',
    '%0d%0a',
    '&#46;',
  ],
  ...['\0', '\n', '\r\n', '\t', '\x1b[2J', '\x7f', '\u0085', '\u009f'],
  ...[
    '\u2024',
    '\u2024\u2024/',
    '\u2025/',
    '\uff0e\uff0e',
    '\uff0f',
    '\u2215',
    '\u2044',
    '\u29f8',
    '\uff3c',
    '\ufe52',
  ],
  ...[
    '\u200b',
    '\u200d',
    '\u00ad',
    '\u202e',
    '\ufeff',
    '\u2028',
    '\u00a0',
    '\u0301',
    '\u0338',
    '\u0958',
    '\u212a',
  ],
  ...[
    '\ud800',
    '\udc00',
    '\ud83d',
    '\ude00',
    '\ufffd',
    '\uffff',
    '\u{1f600}',
    '\u{10ffff}',
    'e\u0301',
    '\u1112\u1161',
  ],
  ...[
    'con',
    'NUL',
    'aux.txt',
    'COM1',
    'lpt1.',
    'C:',
    'c:/',
    'Z:\\',
    '\\\\?\\',
    '//host/share/',
    'x:y',
    'a::$DATA',
  ],
  ...[
    '.stowage',
    '.STOWAGE',
    '.Stowage.',
    '.stowage ',
    '.stowage/',
    '.\u017ftowage',
    '.\ufb05owage',
    '.sto\u200bwage',
  ],
  ...[
    'tmp',
    'meta',
    'swept',
    'root-outside',
    'secret.txt',
    'etc',
    'passwd',
    'proc',
    'self',
    'environ',
    'dev',
    'null',
  ],
  ...[
    '~',
    '$HOME',
    '`id`',
    '$(id)',
    '|',
    '*',
    '?',
    '[a-z]',
    '{a,b}',
    '<',
    '>',
    '"',
    "'",
    ';',
    '&',
    ' ',
    '#',
    '-rf',
  ],
  ...[
    'a',
    'b.txt',
    '__proto__',
    'constructor',
    'x'.repeat(60),
    'x'.repeat(254),
    '\u263a'.repeat(84),
    'y/'.repeat(120),
  ],
]

export const hostileName: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 6 })
      .map((all) => all.join('')),
  },
  {
    weight: 2,
    arbitrary: fc.array(fc.nat(0xffff), { maxLength: 8 }).map((units) => String.fromCharCode(...units)),
  },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  // Around the limits of a segment and of a name, in one to four bytes a character.
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('x', '\u00e9', '\u263a', '\u{1f600}'), fc.integer({ min: -3, max: 3 }))
      .map(([letter, more]) => letter.repeat(Math.floor(255 / Buffer.byteLength(letter)) + more)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('x', '\u263a'), fc.integer({ min: 1010, max: 1030 }))
      .map(([letter, bytes]) => nameOfBytes(letter, bytes)),
  },
)

function nameOfBytes(letter: string, bytes: number): string {
  const segment = letter.repeat(Math.floor(150 / Buffer.byteLength(letter)))
  let name = ''
  while (bytes - Buffer.byteLength(name) > 200) name += `${segment}/`
  return name + 'n'.repeat(bytes - Buffer.byteLength(name))
}

/** The name that a text stands for, or null for one that must be refused: the rule as it is documented. */
export function nameFor(text: string, limit = 1024): string | null {
  if (/[\ud800-\udfff]/u.test(text)) return null
  const unified = text.split('\\').join('/').normalize('NFC')
  if (isAbsolute(unified)) return null
  const all = unified.split('/')
  const last = all.at(-1)
  if (last === '' || last === '.') return null
  const kept = all.filter((segment) => segment.length > 0 && segment !== '.')
  const refused = kept.some(
    (segment) => segment === '..' || Buffer.from(segment).length > 255 || isReserved(segment),
  )
  const name = kept.join('/')
  const hasControl = [...name].some((letter) => letter < ' ' || (letter >= '\x7f' && letter <= '\x9f'))
  return refused || hasControl || name === '' || Buffer.from(name).length > limit ? null : name
}

/** On any system, also where `.` goes before a drive. */
function isAbsolute(unified: string): boolean {
  return unified.startsWith('/') || /^[a-zA-Z]:\//.test(unified.replace(/^(?:\.\/+)+/, ''))
}

/** Whether some filesystem may take a segment for the storage's own folder: case folding, and what is not seen. */
function isReserved(segment: string): boolean {
  const visible = segment.replace(/\p{Default_Ignorable_Code_Point}/gu, '').replace(/[. ]*$/, '')
  return /^\.(?:[s\u017f]t|[\ufb05\ufb06])owage$/i.test(visible)
}

/** The folder that a text stands for, `''` for the root, or null for one that must be refused. */
export function folderFor(text: string): string | null {
  const unified = text.split('\\').join('/')
  if (isAbsolute(unified)) return null
  if (/^(?:\.?\/)*\.?$/.test(unified)) return ''
  return nameFor(unified.replace(/(?:\/\.?)+$/, ''))
}

/** Every way to hand a name to a storage. A save comes first, so that there is something to find. */
export const METHODS: Readonly<Record<string, (storage: Storage, name: string) => Promise<unknown>>> = {
  save: (storage, name) => storage.save(name, 'hostile', { ifExists: 'overwrite' }),
  'save, create-only': (storage, name) => storage.save(name, 'hostile', { ifExists: 'error' }),
  'save with metadata': (storage, name) =>
    storage.save(name, 'hostile', { ifExists: 'overwrite', metadata: { by: 'me' } }),
  open: async (storage, name) => (await storage.open(name)).text(),
  'open a range': async (storage, name) => (await storage.open(name, { range: { offset: 1 } })).text(),
  stat: (storage, name) => storage.stat(name),
  size: (storage, name) => storage.size(name),
  exists: (storage, name) => storage.exists(name),
  url: async (storage, name) => storage.url(name),
  signedUrl: (storage, name) => storage.signedUrl(name),
  signedUpload: (storage, name) => storage.signedUpload(name, { size: 1, contentType: 'text/plain' }),
  'copy from': (storage, name) => storage.copy(name, 'copied.txt', { ifExists: 'overwrite' }),
  'copy to': (storage, name) => storage.copy('mine.txt', name, { ifExists: 'overwrite' }),
  'move from': (storage, name) => storage.move(name, 'moved.txt', { ifExists: 'overwrite' }),
  'move to': async (storage, name) => {
    await storage.save('to-move.txt', 'moved', { ifExists: 'overwrite' })
    return storage.move('to-move.txt', name, { ifExists: 'overwrite' })
  },
  deleteMany: (storage, name) => storage.deleteMany([name]),
  'deleteMany of what comes in': (storage, name) => storage.deleteMany(oneByOne(name)),
  delete: (storage, name) => storage.delete(name),
}

/** Every way to hand over the name of a folder. */
export const FOLDER_METHODS: Readonly<Record<string, (storage: Storage, name: string) => Promise<unknown>>> =
  {
    list: async (storage, name) => {
      const found: string[] = []
      for await (const file of storage.list(name)) found.push(file.name)
      return found
    },
    listdir: (storage, name) => storage.listdir(name),
    'deletePrefix that counts': (storage, name) => storage.deletePrefix(name, { dryRun: true }),
    deletePrefix: (storage, name) => storage.deletePrefix(name),
  }

async function* oneByOne(name: string): AsyncGenerator<string> {
  yield name
}

/** What a call came to: a value, or the code and the message of its error. Anything but a `StorageError` is a defect. */
export async function answerOf(
  work: () => Promise<unknown>,
): Promise<{ code: string; message: string; value?: unknown }> {
  try {
    return { code: 'none', message: '', value: await work() }
  } catch (error) {
    if (!isStorageError(error)) throw new Error(`no StorageError: ${String(error)}`, { cause: error })
    return { code: error.code, message: error.message }
  }
}

/**
 * All that would show that a folder, but for what is in `without`, was read or changed: kinds, owners, modes, links, sizes, times of modification and,
 * with `readTimes`, of reading, and contents. Looks at times first, and reads contents without leaving a trace.
 */
export async function snapshot(folder: string, without: string, readTimes: boolean): Promise<string[]> {
  const lines: string[] = []
  for (const full of await pathsBelow(folder, without)) {
    const stats = await lstat(full, { bigint: true })
    const { ino, mode, uid, gid, nlink, size, mtimeNs, ctimeNs, atimeNs } = stats
    // Of folders and links the read times change by this very look.
    const atime = readTimes && stats.isFile() ? atimeNs : ''
    const content = stats.isFile() ? await digestOf(full) : stats.isSymbolicLink() ? await readlink(full) : ''
    lines.push([full, ino, mode, uid, gid, nlink, size, mtimeNs, ctimeNs, atime, content].join(' '))
  }
  return lines
}

/** By hand: a recursive `readdir` would follow the links. */
async function pathsBelow(folder: string, without: string): Promise<string[]> {
  const paths: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (path === without) continue
    paths.push(path, ...(entry.isDirectory() ? await pathsBelow(path, without) : []))
  }
  return paths.sort()
}

const openFile = promisify(open)
const readFrom = promisify(read)
const closeFile = promisify(close)

async function digestOf(path: string): Promise<string> {
  const fd = await openFile(path, constants.O_RDONLY | (constants.O_NOATIME ?? 0))
  try {
    const { bytesRead, buffer } = await readFrom(fd, Buffer.alloc(64 * 1024), 0, 64 * 1024, 0)
    return createHash('sha256').update(buffer.subarray(0, bytesRead)).digest('hex').slice(0, 16)
  } finally {
    await closeFile(fd)
  }
}
