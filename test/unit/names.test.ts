import assert from 'node:assert/strict'
import fc from 'fast-check'
import { isStorageError, MemoryStorage, prefixed, sanitizeFilename } from 'stowage'
import { describe, it } from 'vitest'
import { isProblem } from '../../src/errors.js'
import { alternativeName, compareNames, isName, toFolder, toName } from '../../src/names.js'

/** By the naming rule, which knows neither the operation nor the storage. */
function refused(work: () => unknown): void {
  assert.throws(work, (error) => {
    assert.ok(isProblem(error), String(error))
    assert.equal(error.code, 'InvalidName')
    return true
  })
}

function refusesFilename(filename: unknown): void {
  assert.throws(
    () => Reflect.apply(sanitizeFilename, undefined, [filename]),
    (error) => {
      assert.ok(isStorageError(error), String(error))
      assert.deepEqual([error.code, error.status, error.operation], ['InvalidName', 400, 'sanitizeFilename'])
      assert.equal(error.file, typeof filename === 'string' ? filename : undefined)
      return true
    },
  )
}

const shown = (name: string) => JSON.stringify(name.length > 40 ? `${name.slice(0, 40)}…` : name)

describe('a name', () => {
  const kept = [
    'a',
    'documents/42/report.pdf',
    'with space.txt',
    ' leading and trailing ',
    'a"b\'c',
    '100%.txt',
    '%2e%2e/x',
    'a#b?c+d&e=f',
    'photo (1).png',
    '😀/é.txt',
    '...',
    '..a',
    'a..b',
    'a..',
    '.env',
    'con',
    '~',
    'a:b',
    'C:',
    '-rf',
    '*',
    'x'.repeat(255),
    `${Array(4).fill('x'.repeat(200)).join('/')}/${'y'.repeat(220)}`,
    'é'.repeat(127),
    'stowage',
    '.stowage2',
    'a.stowage',
    '\u200b',
    'a\u202eb',
  ]
  it.each(kept.map((name) => [shown(name), name]))('%s is kept as it is', (_, name) => {
    assert.equal(toName(name), name)
    assert.ok(isName(name))
  })

  const rewritten: [string, string][] = [
    ['a\\b', 'a/b'],
    ['./a', 'a'],
    ['a/./b', 'a/b'],
    ['a//b', 'a/b'],
    ['a///b/.//c', 'a/b/c'],
    ['.\\a', 'a'],
    ['e\u0301.txt', 'é.txt'],
    ['\u212b', 'Å'],
  ]
  it.each(rewritten)('%j becomes %j', (given, name) => {
    assert.equal(toName(given), name)
    assert.equal(isName(given), false)
  })

  const refusals: [string, unknown][] = [
    ['nothing', ''],
    ['.', '.'],
    ['./', './'],
    ['an absolute name', '/a'],
    ['an absolute name of only slashes', '//'],
    ['a drive', 'C:\\a'],
    ['a drive after "."', './/./C:\\a'],
    ['a drive with a slash', 'c:/a'],
    ['a share', '\\\\host\\a'],
    ['..', '..'],
    ['.. above', '../a'],
    ['.. within', 'a/../b'],
    ['.. at the end', 'a/..'],
    ['.. by backslashes', 'a\\..\\b'],
    ['a trailing /', 'a/'],
    ['a trailing \\', 'a\\'],
    ['a trailing /.', 'a/.'],
    ['NUL', 'a\0b'],
    ['a line break', 'a\nb'],
    ['DEL', 'a\x7fb'],
    ['a C1 control character', 'a\x85b'],
    ['a lone high surrogate', 'a\ud800'],
    ['a lone low surrogate', '\udc00a'],
    ['a segment of 256 bytes', 'x'.repeat(256)],
    ['a segment of 256 bytes, in fewer characters', 'é'.repeat(128)],
    ['a name of 1,025 bytes', `${Array(5).fill('x'.repeat(200)).join('/')}/${'y'.repeat(20)}`],
    ['the reserved folder', '.stowage'],
    ['a file in the reserved folder', '.stowage/tmp/x'],
    ['the reserved folder further down', 'a/.stowage/b'],
    ['the reserved folder in capitals', '.STOWAGE/x'],
    ['the reserved folder, as Windows reads it', '.stowage. /x'],
    ['the reserved folder, as APFS and casefold ext4 fold it', '.\u017ftowage/x'],
    ['the reserved folder, with letters folded in one', 'a/.\ufb05owage'],
    ['the reserved folder, with what some filesystems pass over', '.sto\u200cw\u00adage/x'],
    ['undefined', undefined],
    ['null', null],
    ['a number', 42],
    ['an object', { toString: () => 'a' }],
  ]
  it.each(refusals)('%s is refused', (_, name) => {
    refused(() => toName(name))
  })

  it('is refused with a message that names the operation and the name, on one line', async () => {
    await assert.rejects(new MemoryStorage().open('a\nb'), { message: /^open "a\\nb": /, file: 'a\nb' })
  })

  it('of any kind is either refused or, checked again, the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aB.\\/ \0é\u0301😀:~'), maxLength: 20 }), (text) => {
        let name: string
        try {
          name = toName(text)
        } catch (error) {
          return isProblem(error)
        }
        const segments = name.split('/')
        assert.ok(!segments.includes('..') && !segments.includes('.') && !segments.includes(''), name)
        assert.equal(toName(name), name)
        return true
      }),
      { numRuns: 20_000 },
    )
  })

  it('has less room where a prefix takes its share', async () => {
    const storage = prefixed(new MemoryStorage(), 'p'.repeat(100))
    const name = (bytes: number) => `${Array(4).fill('x'.repeat(200)).join('/')}/${'y'.repeat(bytes - 804)}`
    await storage.save(name(923), '')
    await assert.rejects(storage.save(name(924), ''), { code: 'InvalidName', message: /prefix/ })
  })
})

describe('a folder', () => {
  it.each([
    ['', ''],
    ['.', ''],
    ['a/', 'a'],
    ['a/b//', 'a/b'],
    ['./a/.', 'a'],
  ])('%j is %j for a listing', (given, folder) => {
    assert.equal(toFolder(given, true), folder)
  })

  it.each(['/', '/a', '..', 'a/..', '.stowage', 'a\0'])('%j is refused', (folder) => {
    refused(() => toFolder(folder, true))
  })

  it.each(['', '.', './', '/'])('%j is refused where the root must not be meant', (folder) => {
    refused(() => toFolder(folder, false))
  })
})

describe('the order of names', () => {
  it('is that of their UTF-8 bytes', () => {
    const name = fc.string({ unit: 'binary', maxLength: 6 })
    fc.assert(
      fc.property(name, name, (a, b) => {
        assert.equal(Math.sign(compareNames(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)))
      }),
    )
    assert.ok(compareNames('\uffee', '😀') < 0)
  })
})

describe('the alternative for a taken name', () => {
  it.each([
    ['report.pdf', /^report_[A-Za-z0-9]{7}\.pdf$/],
    ['d/e/report.pdf', /^d\/e\/report_[A-Za-z0-9]{7}\.pdf$/],
    ['a.tar.gz', /^a_[A-Za-z0-9]{7}\.tar\.gz$/],
    ['v1.2 final.pdf', /^v1\.2 final_[A-Za-z0-9]{7}\.pdf$/],
    ['.env', /^\.env_[A-Za-z0-9]{7}$/],
    ['README', /^README_[A-Za-z0-9]{7}$/],
    ['d.d/README', /^d\.d\/README_[A-Za-z0-9]{7}$/],
    ['.config.json', /^\.config_[A-Za-z0-9]{7}\.json$/],
    ['...', /^\.\.\._[A-Za-z0-9]{7}$/],
    ['a.', /^a\._[A-Za-z0-9]{7}$/],
    ['ünï 😀.png', /^ünï 😀_[A-Za-z0-9]{7}\.png$/],
  ])('of %s is %s', (name, alternative) => {
    assert.match(alternativeName(toName(name)), alternative)
  })

  it('is another each time', () => {
    const name = toName('a.txt')
    assert.equal(new Set(Array.from({ length: 1000 }, () => alternativeName(name))).size, 1000)
  })

  it.each([
    ['ASCII', `${'x'.repeat(251)}.pdf`],
    ['letters of two bytes', `${'é'.repeat(125)}.pdf`],
    ['emoji', `${'😀'.repeat(62)}.pdf`],
    ['a deep folder', `${Array(5).fill('x'.repeat(199)).join('/')}/${'y'.repeat(20)}.pdf`],
  ])('of the longest name of %s fits, whole characters and the extension kept', (_, name) => {
    const alternative = alternativeName(toName(name))
    assert.match(alternative, /_[A-Za-z0-9]{7}\.pdf$/)
    assert.equal(toName(alternative), alternative)
  })

  it('is refused where there is no room for the suffix', () => {
    const folder = `${Array(5).fill('x'.repeat(200)).join('/')}/${'y'.repeat(14)}`
    refused(() => alternativeName(toName(`${folder}/abcd`)))
  })
})

describe('sanitizeFilename', () => {
  it.each([
    ['report.pdf', 'report.pdf'],
    ['My Résumé (1).pdf', 'My_Résumé_1.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['C:\\Users\\me\\photo.png', 'photo.png'],
    ['/var/log/x.log', 'x.log'],
    ['a/b\\c.txt', 'c.txt'],
    ['  spaced  name.txt ', 'spaced__name.txt'],
    ['e\u0301.txt', 'é.txt'],
    ['a😀\u0301.txt', 'á.txt'],
    ['日本語 ファイル.pdf', '日本語_ファイル.pdf'],
    ['हिन्दी.txt', 'हिन्दी.txt'],
    ['عربى.txt', 'عربى.txt'],
    ['😀smile😀.png', 'smile.png'],
    ['a<b>:"|?*.txt', 'ab.txt'],
    ["'; DROP TABLE files; --.txt", '_DROP_TABLE_files_--.txt'],
    ['<script>alert(1)</script>.png', 'script.png'],
    ['a%2e%2e%2fb.txt', 'a2e2e2fb.txt'],
    ['x\0.png', 'x.png'],
    ['line\nbreak.txt', 'linebreak.txt'],
    ['evil\u202egnp.exe', 'evilgnp.exe'],
    ['\ud800lone.txt', 'lone.txt'],
    ['.env', '.env'],
    ['a.tar.gz', 'a.tar.gz'],
    ['trailing.', 'trailing'],
    ['trailing...', 'trailing'],
    ['con.txt', '_con.txt'],
    ['NUL', '_NUL'],
    ['COM1.log', '_COM1.log'],
    ['lpt².tar.gz', '_lpt².tar.gz'],
    ['aux.', '_aux'],
    ['console.txt', 'console.txt'],
    ['com.txt', 'com.txt'],
    ['a\u3000b\u00a0c.txt', 'a_b_c.txt'],
    ['🎉.png', '_.png'],
    ['.stowage', '_.stowage'],
    [
      'v1.0 final version of the quarterly report for the board',
      'v1.0_final_version_of_the_quarterly_report_for_the_board',
    ],
  ])('%j → %j', (given, safe) => {
    assert.equal(sanitizeFilename(given), safe)
  })

  it.each(['', '.', '..', '...', '/', 'a/', '\\', '   ', '😀', '???', '\0', '/..', '().'])(
    '%j leaves nothing and is refused',
    refusesFilename,
  )

  it.each([undefined, null, 42, {}])('%j is no file name and is refused', refusesFilename)

  it.each([`${'x'.repeat(400)}.pdf`, `${'é'.repeat(400)}.pdf`, `${'漢'.repeat(400)}.pdf`])(
    'cuts a long name between characters, keeps the extension and leaves room for a suffix',
    (given) => {
      const safe = sanitizeFilename(given)
      assert.match(safe, /\.pdf$/)
      assert.ok(Buffer.byteLength(safe) <= 255 - 8 && Buffer.byteLength(safe) > 240, safe)
      assert.ok(given.startsWith(safe.slice(0, -4)))
    },
  )

  it('makes of whatever a browser sends one legal segment, always the same, or refuses', () => {
    const sent = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.string({ unit: fc.constantFrom(...'aZ09._- /\\()\u0301é漢😀\ud800'), maxLength: 20 }),
    )
    fc.assert(
      fc.property(sent, (given) => {
        let safe: string
        try {
          safe = sanitizeFilename(given)
        } catch (error) {
          return isStorageError(error) && error.code === 'InvalidName'
        }
        assert.equal(toName(safe), safe)
        assert.match(safe, /^[\p{L}\p{M}\p{N}\-_.]+$/u)
        assert.ok(Buffer.byteLength(safe) <= 247)
        assert.equal(sanitizeFilename(safe), safe)
        return true
      }),
      { numRuns: 2000 },
    )
  })
})
