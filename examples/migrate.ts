/**
 * Copies the files of a local folder to the storage that the environment selects, such as R2:
 *
 *     R2_ENABLED=1 R2_BUCKET_NAME=… npx tsx examples/migrate.ts ./uploads
 *
 * Run it again if it was interrupted: it copies what is missing.
 */
import { realpath, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { createDefaultStorage, FileSystemStorage, migrate } from 'stowage'

const folder = resolve(process.argv[2] ?? './uploads')

try {
  if (!(await stat(folder).catch(() => null))?.isDirectory()) throw new Error(`There is no folder ${folder}`)
  // With a fallback, the target would read the folder itself and find every file in place.
  const target = createDefaultStorage({ ...process.env, R2_FALLBACK_ROOT: undefined })
  if (target instanceof FileSystemStorage && (await overlap(folder, dirname(target.path('x'))))) {
    throw new Error(
      `${folder} is, or holds, or is in the folder that the environment selects: set the R2_* variables, or another MEDIA_ROOT`,
    )
  }
  const { copied, skipped, failed, bytes } = await migrate(
    new FileSystemStorage({ location: folder }),
    target,
    {
      verify: true,
      onProgress({ copied, skipped, failed, name }) {
        const line = `${copied} copied, ${skipped} there already, ${failed} failed`
        // On a terminal one line is overwritten; in a log each file has its line.
        process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}: ${name}\n`)
      },
    },
  )
  if (process.stderr.isTTY) process.stderr.write('\n')
  for (const { error } of failed) console.error(error.message)
  console.log(`${copied} files copied (${bytes} bytes), ${skipped} there already, ${failed.length} failed`)
  if (failed.length > 0) process.exitCode = 1
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** Whether two folders are the same or one is inside the other, also through symbolic links. */
async function overlap(a: string, b: string): Promise<boolean> {
  const [from, to] = [await real(a), await real(b)]
  return [relative(from, to), relative(to, from)].some(
    (path) => path === '' || /^(?!\.\.([/\\]|$))/.test(path),
  )
}

/** The real path, also of a folder that does not exist yet. */
async function real(path: string): Promise<string> {
  const found = await realpath(path).catch(() => null)
  return found ?? join(await real(dirname(path)), relative(dirname(path), path))
}
