import assert from 'node:assert/strict'
import fc from 'fast-check'
import { lookup } from 'mime-types'
import { describe, it } from 'vitest'
import { attachment } from '../../src/disposition.js'
import { COMMON_TYPES, contentTypeOf } from '../../src/media-types.js'
import { decodeMetadataValue, encodeMetadataValue } from '../../src/metadata.js'
import { encodePath } from '../../src/percent.js'
import { decodeWords, encodeWords } from '../../src/testing/local-r2/metadata.js'

/** Well-formed text without control characters: every value that `save` takes. */
const value = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: fc.constantFrom(..."=?UTF-8BQ'%_ é😀\u00a0\u2028".split('')), maxLength: 30 }),
  )
  .map((text) => text.toWellFormed().replace(/\p{Cc}/gu, ''))

const tricky = [
  '',
  ' ',
  ' leading',
  'trailing ',
  'two  spaces',
  '\u00a0nbsp\u00a0',
  'plain ASCII',
  'Zoë',
  '日本語のとても長い値'.repeat(40),
  '=?UTF-8?B?QQ==?=',
  '=?utf-8?q?caf=C3=A9?= =?utf-8?q?!?=',
  '?=',
  '=?',
  "UTF-8''",
  "UTF-8''%41",
  '100%',
  'a=?b?c?=d',
  '\u2028\u2029',
  '😀 =?',
  'é ',
]

describe('a metadata value', () => {
  it('goes into a header and comes back, whatever text it is', () => {
    fc.assert(
      fc.property(value, (text) => {
        const header = encodeMetadataValue(text)
        assert.match(header, /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, 'a header that HTTP leaves alone')
        assert.equal(decodeMetadataValue(header), text)
      }),
      { numRuns: 3000, examples: tricky.map((text): [string] => [text]) },
    )
  })

  it('also by way of a server that decodes encoded words and encodes them its own way, as R2 does', () => {
    fc.assert(
      fc.property(value, (text) => {
        assert.equal(decodeMetadataValue(encodeWords(decodeWords(encodeMetadataValue(text)))), text)
      }),
      { numRuns: 3000, examples: tricky.map((text): [string] => [text]) },
    )
  })

  it('is readable where it can be: ASCII as it is, other text as R2 shows it', () => {
    assert.equal(encodeMetadataValue('plain ASCII; 100%'), 'plain ASCII; 100%')
    assert.equal(decodeWords(encodeMetadataValue('Zoë 😀')), 'Zoë 😀')
  })

  it('that another program has encoded is understood', () => {
    assert.equal(decodeMetadataValue('=?utf-8?Q?caf=C3=A9_cr=C3=A8me?='), 'café crème')
    assert.equal(decodeMetadataValue('=?UTF-8?B?Y2Fmw6k=?='), 'café')
    assert.equal(decodeMetadataValue('=?UTF-8?B?Y2Fm?= =?UTF-8?B?w6k=?='), 'café')
    assert.equal(decodeMetadataValue("UTF-8''broken%"), "UTF-8''broken%")
  })
})

describe('the content type', () => {
  it.each([
    ['a.png', 'image/png'],
    ['A.PNG', 'image/png'],
    ['d.d/a.pdf', 'application/pdf'],
    ['a.tar.gz', 'application/gzip'],
    ['voice.webm', 'video/webm'],
    ['a.mp3', 'audio/mpeg'],
    ['a.html', 'text/html'],
    ['png', 'application/octet-stream'],
    ['d/html', 'application/octet-stream'],
    ['.png', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['a.unheard-of', 'application/octet-stream'],
    ['a.__proto__', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
  ])('of %s is %s', async (name, type) => {
    assert.equal(await contentTypeOf(name), type)
  })

  it('is for common extensions the one that mime-types has', () => {
    for (const [extension, type] of Object.entries(COMMON_TYPES)) assert.equal(lookup(extension), type)
  })
})

describe('a file name for browsers', () => {
  it.each([
    ['report.pdf', 'attachment; filename="report.pdf"'],
    ['café.pdf', `attachment; filename="caf_.pdf"; filename*=UTF-8''caf%C3%A9.pdf`],
    ['a"b.pdf', `attachment; filename="a_b.pdf"; filename*=UTF-8''a%22b.pdf`],
    ['a\\b.pdf', 'attachment; filename="b.pdf"'],
    ['../x.pdf', 'attachment; filename="x.pdf"'],
    ['50%.pdf', `attachment; filename="50_.pdf"; filename*=UTF-8''50%25.pdf`],
    ['evil\u202efdp.exe', 'attachment; filename="evilfdp.exe"'],
    ['a\r\nSet-Cookie: x', 'attachment; filename="aSet-Cookie: x"'],
    ['', 'attachment; filename="file"'],
  ])('%j → %s', (filename, header) => {
    assert.equal(attachment(filename), header)
  })

  it('never breaks out of its header, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (filename) => {
        assert.match(
          attachment(filename),
          /^attachment; filename="[^"\\\x00-\x1f\x7f-\uffff]*"(?:; filename\*=UTF-8''[\w.%~-]*)?$/,
        )
      }),
    )
  })
})

describe('a name in a URL', () => {
  it('is percent-encoded per segment and comes back', () => {
    assert.equal(encodePath('a b/ü#1?.txt'), 'a%20b/%C3%BC%231%3F.txt')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        assert.equal(encodePath(name).split('/').map(decodeURIComponent).join('/'), name)
      }),
    )
  })
})
