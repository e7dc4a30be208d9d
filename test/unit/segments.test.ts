import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { decodeSegment, encodeSegment } from '../../src/drivers/filesystem/segments.js'
import { isName, MAX_SEGMENT_BYTES } from '../../src/names.js'

/** Windows refuses these, cuts them off, or opens something else: independent of how the package says it. */
function isRefusedByWindows(form: string): boolean {
  const device = /^(CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]|CONIN\$|CONOUT\$)$/i
  const stem = form.split('.')[0]?.trimEnd() ?? ''
  const isShortName = /^[^.]{1,8}(?:\.[^.]{0,3})?$/.test(form) && /^[^.]*~[0-9]+(?:\.|$)/.test(form)
  return (
    /[<>:"|?*/\\\u{10ffff}\p{Cc}]/u.test(form) ||
    /[. ]$/.test(form) ||
    device.test(stem) ||
    isShortName ||
    form.length > 255
  )
}

const ODD = [
  ...['<', '>', ':', '"', '|', '?', '*', '~', '.', ' ', '1', '9', '¹', '$', 'a', 'Z', 'é', '☺', '😀', '？'],
  ...['\u{10ffff}', '\uf000', '\uf001', '\uf020', '\uf022', '\uf02a', '\uf02e', '\uf03a', '\uf061'],
  ...['\uf063', '\uf043', '\uf07c', '\uf07e', '\uf07f', '\uf07f\uf07f', '\uf080', '\uffff', '\u{10fffe}'],
  ...['con', 'CON', 'Nul', 'prn', 'aux', 'com1', 'COM¹', 'lpt0', 'LPT9', 'conin$', 'CONOUT$', 'PROGRA~1'],
  ...['.txt', '.tar.gz', 'STOWAG~1', 'report~12.pdf', 'co', 'on', 'ul'],
]

const isLegal = (text: string) => isName(text) && !text.includes('/')

/** Legal segments, most of them of signs that mean something on Windows or to the escape. */
const segments = fc
  .oneof(
    {
      weight: 4,
      arbitrary: fc.array(fc.constantFrom(...ODD), { minLength: 1, maxLength: 8 }).map((all) => all.join('')),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...ODD), fc.constantFrom(...ODD))
        .map(([a, b]) => a + b.repeat((MAX_SEGMENT_BYTES - Buffer.byteLength(a)) / Buffer.byteLength(b))),
    },
  )
  .map((text) => text.normalize('NFC').replace(/[/\\\p{Cc}]/gu, '_'))
  .filter(isLegal)

function check<T>(property: fc.IRawProperty<T>): void {
  fc.assert(property, { numRuns: 2_000 })
}

describe('the form of a segment on Windows', () => {
  it('is read back as the segment, and is nothing that Windows refuses', () => {
    check(
      fc.property(segments, (segment) => {
        const form = encodeSegment(segment)
        assert.equal(decodeSegment(form), segment)
        assert(!isRefusedByWindows(form), JSON.stringify(form))
        assert(form.length <= Buffer.byteLength(segment))
      }),
    )
  })

  it('has no tilde of a short name behind a quoted character either', () => {
    assert.equal(encodeSegment('\uf07c~9'), '\uf07f\uf07c\uf07e9')
    assert.equal(decodeSegment('\uf07f\uf07c\uf07e9'), '\uf07c~9')
  })

  it('is the segment itself, unless Windows refuses that or it has private characters', () => {
    check(
      fc.property(segments, (segment) => {
        if (isRefusedByWindows(segment) || /[\uf000-\uf07f]/.test(segment)) return
        assert.equal(encodeSegment(segment), segment)
      }),
    )
    for (const plain of [
      ...[
        'report.pdf',
        '.env',
        'a b',
        '..a',
        'Größe',
        '日本語？.txt',
        '☺',
        'file~',
        '~',
        'a~b',
        'console',
        'comma',
      ],
      ...[
        'auxiliary.txt',
        'com',
        'com10',
        'x~2024-01-01',
        'photo~2024.jpg',
        'icon',
        '\uf061',
        '\uf07f',
        'a\uf020b',
      ],
    ]) {
      assert.equal(encodeSegment(plain), plain)
    }
  })

  it('is never that of another segment, also where case does not count', () => {
    check(
      fc.property(segments, segments, (one, other) => {
        const areOne = encodeSegment(one).toLowerCase() === encodeSegment(other).toLowerCase()
        assert(!areOne || one.toLowerCase() === other.toLowerCase())
      }),
    )
    // Neighbours of one segment: what a wrong escape would mix up.
    check(
      fc.property(segments, (segment) => {
        for (const other of [encodeSegment(segment), decodeSegment(segment)]) {
          if (isLegal(other) && other !== segment)
            assert.notEqual(encodeSegment(other), encodeSegment(segment))
        }
      }),
    )
  })

  it('leaves a file that another program put there one name, by which it is found', () => {
    check(
      fc.property(segments, (onDisk) => {
        const name = decodeSegment(onDisk)
        assert(encodeSegment(name) === onDisk || name === onDisk)
      }),
    )
  })

  it('is the one of WSL and Cygwin', () => {
    assert.equal(encodeSegment('a:b'), 'a\uf03ab')
    assert.equal(encodeSegment('What?.pdf'), 'What\uf03f.pdf')
    assert.equal(encodeSegment('etc...'), 'etc..\uf02e')
    assert.equal(encodeSegment('nul.txt'), '\uf06eul.txt')
    assert.equal(encodeSegment('PROGRA~1'), 'PROGRA\uf07e1')
  })
})
