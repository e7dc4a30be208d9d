/**
 * The main job, on real files: `npm run demo`. Without configuration it works in ./uploads. With the R2_* variables the
 * same code works in that bucket. It deletes its files at the end; `--keep` keeps them.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  aiSpeechPath,
  type Content,
  chatUploadPath,
  chatUploadRules,
  createDefaultStorage,
  defaultStorage,
  documentPath,
  FileSystemStorage,
  isStorageError,
  type SaveOptions,
  setDefaultStorage,
  UploadRejectedError,
  userAvatarPath,
  voiceNotePath,
} from 'stowage'

const keep = process.argv.includes('--keep')
const stored: string[] = []

/** Room, user and message have unique ids, so that the demo never touches your files. */
const id = `demo-${randomBytes(3).toString('hex')}`

const kinds: { kind: string; file: string; name: string; options?: SaveOptions }[] = [
  { kind: 'document', file: 'report.pdf', name: documentPath(id, 'Quarterly report.pdf') },
  {
    kind: 'voice note',
    file: 'voice-note.webm',
    name: voiceNotePath(id, 'voice-note.webm'),
    options: { allowedTypes: ['audio/*'], maxSize: 5 * 1024 * 1024 },
  },
  { kind: 'chat upload', file: 'photo.png', name: chatUploadPath('photo.PNG'), options: chatUploadRules },
  { kind: 'AI speech', file: 'speech.mp3', name: aiSpeechPath(id, 7) },
  {
    kind: 'user avatar',
    file: 'avatar.jpg',
    name: userAvatarPath(id, 'me.jpg'),
    options: { ifExists: 'overwrite', allowedTypes: ['image/jpeg', 'image/png'] },
  },
]

try {
  const storage = createDefaultStorage()
  setDefaultStorage(storage)
  await demo(storage instanceof FileSystemStorage)
} catch (error) {
  if (!isStorageError(error)) throw error
  console.error(`\nThe demo stopped (${error.code}): ${error.message}`)
  process.exitCode = 1
} finally {
  if (!keep && stored.length > 0) await defaultStorage.deleteMany(stored).catch(() => {})
}

async function demo(onDisk: boolean): Promise<void> {
  const place = onDisk
    ? `the folder ${process.env.MEDIA_ROOT || './uploads'}`
    : `the bucket ${process.env.R2_BUCKET_NAME}`
  console.log(`Storing one file of each kind in ${place}\n`)

  for (const { kind, file, name, options } of kinds) {
    const info = await defaultStorage.stat(await save(name, await sample(file), options))
    console.log(
      `  ${kind.padEnd(12)} ${info.name.padEnd(54)} ${`${info.size} B`.padStart(7)}  ${info.contentType}`,
    )
    console.log(`  ${''.padEnd(12)} ${defaultStorage.url(info.name)}`)
  }

  const report = documentPath(id, 'Quarterly report.pdf')
  const second = await save(report, 'Another report of the same name.')
  console.log(`\nA taken name    ${report}\n  is kept; new  ${second}`)

  try {
    await save(chatUploadPath('x.png'), '<!doctype html><script>alert(1)</script>', chatUploadRules)
    throw new Error('an HTML page was stored as a picture')
  } catch (error) {
    if (!(error instanceof UploadRejectedError)) throw error
    console.log(`\nA web page named x.png is refused with HTTP status ${error.status}\n  ${error.message}`)
  }

  const original = await sample('report.pdf')
  const bytes = await (await defaultStorage.open(report)).bytes()
  compare(original, bytes)
  console.log(`\nRead back       ${report}\n  ${bytes.byteLength} bytes, the same as were stored`)

  if (!onDisk) {
    const url = await defaultStorage.signedUrl(report, { expiresIn: 300, download: true })
    const response = await fetch(url)
    compare(original, Buffer.from(await response.arrayBuffer()))
    console.log(
      `\nSigned URL, good for five minutes; fetched: HTTP ${response.status}, the same bytes\n  ${url}`,
    )
  }

  if (keep) {
    console.log(`\nKept in ${place}, as you asked.`)
  } else {
    await defaultStorage.deleteMany(stored)
    for (const name of stored) {
      if (await defaultStorage.exists(name)) throw new Error(`${name} is still there`)
    }
    console.log(
      `\nDeleted         all ${stored.length} files; look at them next time with: npm run demo -- --keep`,
    )
  }
  if (onDisk) {
    console.log(
      '\nThe same on R2: set R2_ENABLED=1, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_BUCKET_NAME and R2_ENDPOINT_URL, and run this again.',
    )
  }
}

async function save(name: string, content: Content, options?: SaveOptions): Promise<string> {
  const real = await defaultStorage.save(name, content, options)
  stored.push(real)
  return real
}

function sample(file: string): Promise<Buffer> {
  return readFile(new URL(`files/${file}`, import.meta.url))
}

function compare(expected: Buffer, actual: Buffer): void {
  if (!expected.equals(actual)) throw new Error('what was read is not what was stored')
}
