import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { type Content, chatUploadRules, MemoryStorage, UploadRejectedError } from 'stowage'
import { describe, it } from 'vitest'

const shipped = (name: string) => readFile(new URL(`../../examples/files/${name}`, import.meta.url))
const bytes = (...parts: (string | readonly number[])[]) =>
  Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))),
  )

/** An EBML element with a size of one byte. */
const ebml = (id: readonly number[], content: Buffer) =>
  Buffer.concat([Buffer.from([...id, 0x80 | content.length]), content])
/** WebM with one track for each codec, as far as its head goes. */
function webm(...codecs: string[]): Buffer {
  const header = ebml([0x1a, 0x45, 0xdf, 0xa3], ebml([0x42, 0x82], bytes('webm')))
  const tracks = codecs.map((codec) => ebml([0xae], ebml([0x86], bytes(codec))))
  const segment = bytes([0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
  return Buffer.concat([header, segment, ebml([0x16, 0x54, 0xae, 0x6b], Buffer.concat(tracks))])
}
/** An ISO 14496-12 box. */
function box(type: string, ...content: Buffer[]): Buffer {
  const size = Buffer.alloc(4)
  size.writeUInt32BE(8 + Buffer.concat(content).length)
  return Buffer.concat([size, bytes(type), ...content])
}
const ftyp = (brand: string) => box('ftyp', bytes(brand, [0, 0, 0, 0], brand))
const track = (handler: string) =>
  box('trak', box('mdia', box('hdlr', Buffer.alloc(8), bytes(handler), Buffer.alloc(13))))
const ogg = (head: string) =>
  bytes('OggS', [0, 2], Buffer.alloc(20).toString('latin1'), [1, head.length], head)
const WAV = bytes(
  'RIFF',
  [36, 0, 0, 0],
  'WAVEfmt ',
  [16, 0, 0, 0, 1, 0, 1, 0],
  Buffer.alloc(20).toString('latin1'),
)
const MP3_FRAME = Buffer.concat([
  bytes([0xff, 0xfb, 0x90, 0x00]),
  Buffer.alloc(413),
  bytes([0xff, 0xfb, 0x90, 0x00]),
  Buffer.alloc(413),
])

/** What a save with these rules stores as the type. */
async function accepted(content: Content, allowedTypes: readonly string[], name = 'x', contentType?: string) {
  const storage = new MemoryStorage()
  await storage.save(name, content, { allowedTypes, contentType })
  return (await storage.stat(name)).contentType
}

async function rejected(content: Content, allowedTypes: readonly string[], name = 'x', contentType?: string) {
  const storage = new MemoryStorage()
  const error = await storage.save(name, content, { allowedTypes, contentType }).then(
    () => assert.fail('it was accepted'),
    (error: unknown) => error,
  )
  assert.ok(error instanceof UploadRejectedError, String(error))
  assert.deepEqual([error.reason, error.status, error.code], ['type', 415, 'Rejected'])
  assert.deepEqual(error.allowed, allowedTypes)
  assert.equal(await storage.exists(name), false)
  return error.found
}

describe('the type of a voice note is told by its bytes', () => {
  const notes: [string, Buffer, string][] = [
    ['WebM with Opus, as Chrome records', webm('A_OPUS'), 'audio/webm'],
    ['WebM with Vorbis', webm('A_VORBIS'), 'audio/webm'],
    ['Ogg with Opus, as Firefox records', ogg('OpusHead\x01\x01'), 'audio/ogg'],
    ['Ogg with Vorbis', ogg('\x01vorbis\0\0'), 'audio/ogg'],
    ['M4A', Buffer.concat([ftyp('M4A '), box('moov', track('soun'))]), 'audio/mp4'],
    [
      'MP4 with sound alone, as Safari records',
      Buffer.concat([ftyp('isom'), box('moov', track('soun'))]),
      'audio/mp4',
    ],
    ['MP3 with an ID3 tag', Buffer.concat([bytes('ID3', [3, 0, 0, 0, 0, 0, 0]), MP3_FRAME]), 'audio/mpeg'],
    ['MP3 without one', MP3_FRAME, 'audio/mpeg'],
    ['WAV', WAV, 'audio/wav'],
  ]
  it.each(notes)('%s', async (_, content, type) => {
    assert.equal(await accepted(content, [type], 'note.bin'), type)
    assert.equal(await accepted(content, ['audio/*'], 'note.png', 'image/png'), type)
    assert.equal(
      await accepted(Readable.from([content.subarray(0, 5), content.subarray(5)]), ['audio/*']),
      type,
    )
    assert.equal(await rejected(content, ['image/*'], 'note.png', 'image/png'), type)
  })

  it('and by nothing that only looks like a picture in the midst of the sound', async () => {
    const cluster = bytes([0x1f, 0x43, 0xb6, 0x75, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
    const note = Buffer.concat([webm('A_OPUS'), cluster, bytes('sound \x86\x85V_VP9 and more sound')])
    assert.equal(await accepted(note, chatUploadRules.allowedTypes), 'audio/webm')
  })

  it('and that of the files shipped with the examples', async () => {
    assert.equal(await accepted(await shipped('voice-note.webm'), chatUploadRules.allowedTypes), 'audio/webm')
    assert.equal(await accepted(await shipped('photo.png'), chatUploadRules.allowedTypes), 'image/png')
    assert.equal(await accepted(await shipped('report.pdf'), chatUploadRules.allowedTypes), 'application/pdf')
    assert.equal(await accepted(await shipped('avatar.jpg'), chatUploadRules.allowedTypes), 'image/jpeg')
    assert.equal(await accepted(await shipped('speech.mp3'), ['audio/mpeg']), 'audio/mpeg')
  })

  it('a film is no voice note', async () => {
    assert.equal(await rejected(webm('V_VP9', 'A_OPUS'), ['audio/*'], 'a.webm', 'audio/webm'), 'video/webm')
    assert.equal(await rejected(webm('A_OPUS', 'V_VP8'), ['audio/*']), 'video/webm')
    const film = Buffer.concat([ftyp('isom'), box('moov', track('vide'), track('soun'))])
    assert.equal(await rejected(film, ['audio/*'], 'a.m4a'), 'video/mp4')
  })

  it.each(['audio/mp3', 'audio/x-wav', 'audio/m4a', 'audio/opus', 'AUDIO/WEBM'])(
    '%s means the same as its usual name',
    async (alias) => {
      const all = notes.map(([, content]) => content)
      const outcomes = await Promise.allSettled(all.map((content) => accepted(content, [alias])))
      assert.ok(outcomes.some(({ status }) => status === 'fulfilled'))
    },
  )

  it('a claim that says more about the same type is kept', async () => {
    const type = 'audio/webm;codecs=opus'
    assert.equal(await accepted(webm('A_OPUS'), ['audio/webm'], 'a.webm', type), type)
  })
})

describe('markup is seen through every disguise', () => {
  const disguises: [string, string, string][] = [
    ['HTML', '<html><body>x</body></html>', 'text/html'],
    ['HTML with a doctype', '<!DOCTYPE html><p>x', 'text/html'],
    ['HTML in capitals', '<HTML>', 'text/html'],
    ['HTML after white space', ' \t\r\n\f<script>alert(1)</script>', 'text/html'],
    ['HTML after a byte order mark', '\ufeff<html>', 'text/html'],
    ['HTML after a comment', '<!-- PNG --> <script>alert(1)</script>', 'text/html'],
    ['HTML after two comments', '<!-- a --><!-- b --><body onload=x>', 'text/html'],
    ['a lone image tag', '<img src=x onerror=alert(1)>', 'text/html'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', 'image/svg+xml'],
    ['SVG after an XML declaration', '<?xml version="1.0"?><svg/>', 'image/svg+xml'],
    ['SVG after a doctype', '<!DOCTYPE svg PUBLIC "x" "y"><svg/>', 'image/svg+xml'],
    ['XML', '<?xml version="1.0"?><a/>', 'application/xml'],
    ['XHTML as XML', '<x:script xmlns:x="http://www.w3.org/1999/xhtml">1</x:script>', 'application/xml'],
  ]
  it.each(disguises)('%s', async (_, text, type) => {
    for (const [name, claim] of [
      ['x.png', 'image/png'],
      ['x.txt', 'text/plain'],
      ['x.json', 'application/json'],
    ]) {
      assert.equal(await rejected(text, ['image/png', 'text/plain', 'application/json'], name, claim), type)
    }
    assert.equal(await accepted(text, [type], 'x.png', 'image/png'), type)
  })

  it('also in UTF-16, whose first bytes are those of an MP3 frame', async () => {
    const page = Buffer.from('\ufeff<html><script>', 'utf16le')
    for (const utf16 of [page, Buffer.from(page).swap16()]) {
      const allowed = ['image/png', 'text/plain', 'audio/*']
      assert.equal(await rejected(utf16, allowed, 'voice.mp3', 'audio/mpeg'), 'text/html')
    }
  })

  it('but text that only talks about it is text', async () => {
    assert.equal(await accepted('The <html> tag', ['text/plain'], 'x.txt'), 'text/plain')
    assert.equal(await accepted('{"html": "<html>"}', ['application/json'], 'x.json'), 'application/json')
    assert.equal(await accepted('a < b', ['text/*'], 'x.csv'), 'text/csv')
  })
})

describe('a content that is too little to be anything', () => {
  const pictures: [string, Buffer][] = [
    ['PNG', bytes([0x89], 'PNG\r\n', [0x1a])],
    ['JPEG', bytes([0xff, 0xd8])],
    ['PDF', bytes('%PD')],
    ['WebM', bytes([0x1a, 0x45, 0xdf])],
    ['Ogg', bytes('Ogg')],
    ['WAV', bytes('RIFF', [36, 0, 0, 0], 'WA')],
    ['one byte', bytes([0])],
    ['nothing', bytes()],
  ]
  it.each(pictures)('is refused: the start of %s', async (_, content) => {
    await rejected(content, chatUploadRules.allowedTypes, 'x.png', 'image/png')
    await rejected(content, ['audio/*', 'video/*'], 'x.wav')
    await rejected(Readable.from([content]), chatUploadRules.allowedTypes)
  })

  it('is text where text is allowed and it is empty', async () => {
    assert.equal(await accepted('', ['text/plain'], 'x.txt'), 'text/plain')
  })
})

describe('maxSize', () => {
  const big = async function* () {
    for (let i = 0; i < 1000; i++) yield Buffer.alloc(1000)
  }
  it.each<[string, () => Content]>([
    ['text', () => 'é'.repeat(51)],
    ['bytes', () => Buffer.alloc(101)],
    ['a Blob', () => new Blob([Buffer.alloc(101)])],
    ['a stream', () => Readable.from(big())],
    ['an iterable', () => big()],
  ])('refuses more in %s, and stores nothing', async (_, content) => {
    const storage = new MemoryStorage()
    await assert.rejects(storage.save('x', content(), { maxSize: 100 }), (error) => {
      assert.ok(error instanceof UploadRejectedError)
      assert.deepEqual([error.reason, error.status, error.limit], ['size', 413, 100])
      assert.ok(Number(error.found) > 100)
      return true
    })
    assert.equal(await storage.exists('x'), false)
  })

  it('takes just as much', async () => {
    const storage = new MemoryStorage()
    for (const content of [Buffer.alloc(100), Readable.from([Buffer.alloc(99), Buffer.alloc(1)])]) {
      await storage.save('x', content, { maxSize: 100, ifExists: 'overwrite' })
      assert.equal(await storage.size('x'), 100)
    }
    await storage.save('empty', '', { maxSize: 0 })
  })

  it('stops a source soon after the limit', async () => {
    let given = 0
    const source = async function* () {
      for (;;) {
        given += 1000
        yield Buffer.alloc(1000)
      }
    }
    await assert.rejects(new MemoryStorage().save('x', source(), { maxSize: 10_000 }), { status: 413 })
    assert.ok(given < 100_000, `${given} bytes`)
  })
})

it('a Blob of which only a sample was read gives its stream back', async () => {
  const cancelled: number[] = []
  let opened = 0
  const content = Buffer.concat([webm('A_OPUS'), Buffer.alloc(300_000)])
  class Recording extends Blob {
    override stream() {
      const index = opened++
      let offset = 0
      return new ReadableStream({
        pull(controller) {
          if (offset >= content.length) return controller.close()
          controller.enqueue(new Uint8Array(content.subarray(offset, offset + 65_536)))
          offset += 65_536
        },
        cancel: () => void cancelled.push(index),
      })
    }
  }
  await new MemoryStorage().save('note.webm', new Recording([content]), { allowedTypes: ['audio/webm'] })
  await assert.rejects(
    new MemoryStorage().save('note.webm', new Recording([content]), { allowedTypes: ['image/png'] }),
    { code: 'Rejected' },
  )
  // The first save opens one for the sample and one for everything, which is read to its end.
  assert.deepEqual([opened, cancelled], [3, [0, 2]])
})

describe('the rules themselves', () => {
  it.each([
    { maxSize: -1 },
    { maxSize: 1.5 },
    { maxSize: Number.NaN },
    { allowedTypes: ['png'] },
    { allowedTypes: ['*/*'] },
    { allowedTypes: ['image/png; q=1'] },
    { allowedTypes: [''] },
  ])('%j is InvalidArgument', async (rules) => {
    await assert.rejects(new MemoryStorage().save('x', 'x', rules), { code: 'InvalidArgument' })
  })

  it('an empty list allows nothing', async () => {
    await rejected('x', [])
  })

  it('for chats are 50 MiB of PDF, JPEG, PNG and WebM audio, and nobody can change them', () => {
    assert.equal(chatUploadRules.maxSize, 52_428_800)
    assert.deepEqual(chatUploadRules.allowedTypes, [
      'application/pdf',
      'image/jpeg',
      'image/png',
      'audio/webm',
    ])
    assert.throws(
      () => Reflect.apply(Array.prototype.push, chatUploadRules.allowedTypes, ['text/html']),
      TypeError,
    )
    assert.equal(Reflect.set(chatUploadRules, 'maxSize', 1), false)
  })
})
