import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { attempt, mark, no, yes } from '../outcome.mjs'

const example = (name) => readFile(new URL(`../../../examples/files/${name}`, import.meta.url))
const stream = (bytes) =>
  Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000)].filter(({ length }) => length))

/** Honest and disguised files: [name, bytes, the allowed type, whether it should be taken]. */
async function files() {
  const html = Buffer.from(`<!doctype html><script>alert(1)</script>${' '.repeat(2000)}`)
  const program = Buffer.concat([Buffer.from('7f454c4602010100', 'hex'), Buffer.alloc(4000)])
  return [
    ['a PNG', 'photo.png', await example('photo.png'), 'image/png', true],
    ['a PDF', 'report.pdf', await example('report.pdf'), 'application/pdf', true],
    ['a WebM recording', 'note.webm', await example('voice-note.webm'), 'audio/webm', true],
    ['HTML as PNG', 'page.png', html, 'image/png', false],
    ['a program as PNG', 'program.png', program, 'image/png', false],
  ]
}

async function judgeTypes(storage) {
  if (!storage.saveChecked) {
    const { value } = await attempt(async () => {
      await storage.save('recording.png', await example('voice-note.webm'))
      return (await storage.stat('recording.png')).contentType
    })
    return value !== undefined && /webm|matroska/.test(value)
      ? mark(false, true, 'type set by the bytes; no allow-list')
      : no('type by extension or caller')
  }
  const refused = []
  const taken = []
  for (const [what, name, bytes, type] of await files()) {
    const { error } = await attempt(() => storage.saveChecked(name, stream(bytes), { allowedTypes: [type] }))
    ;(error ? refused : taken).push(what)
  }
  const disguised = taken.filter((what) => what.includes(' as '))
  const honest = refused.filter((what) => !what.includes(' as '))
  if (disguised.length > 0) return no(`takes ${disguised.join(', ')}`)
  return honest.length > 0
    ? mark(false, true, `refuses both disguises, and ${honest.join(', ')}`)
    : yes('refuses both disguises, takes PNG, PDF, WebM')
}

const MiB = 2 ** 20

async function limit(storage) {
  if (!storage.saveChecked) return no('no limit')
  let read = 0
  async function* endless() {
    for (; read < 64 * MiB; read += MiB) yield Buffer.alloc(MiB, 1)
  }
  const { error } = await attempt(() =>
    storage.saveChecked('big.bin', Readable.from(endless()), { maxSize: MiB }),
  )
  const exists = (await attempt(() => storage.read('big.bin'))).value !== undefined
  if (!error || exists) return no('stored')
  const fact =
    read < 64 * MiB ? `refused after ${Math.round(read / MiB)} MiB` : 'refused after all 64 MiB, in memory'
  return mark(read < 16 * MiB, true, fact)
}

export const trials = [
  {
    id: 'bytes',
    title: 'Type judged by the bytes, in a stream',
    on: 'r2',
    run: async ({ contestant, server }) => judgeTypes(await contestant.s3(server)),
  },
  {
    id: 'limit',
    title: 'Limit of 1 MiB for a stream of 64 MiB',
    on: 'r2',
    run: async ({ contestant, server }) => limit(await contestant.s3(server)),
  },
]
