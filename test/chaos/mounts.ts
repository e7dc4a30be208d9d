/** Small filesystems to fill up, mounted for one test. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { newFolder } from '../integration/child/folders.js'

const run = promisify(execFile)
const mounts: string[] = []

/** A new folder with a filesystem of its own. `options` as for `mount -t tmpfs -o`. */
export async function mountSmall(options: string): Promise<string> {
  const folder = await newFolder()
  await run('mount', ['-t', 'tmpfs', '-o', `mode=0755,${options}`, 'tmpfs', folder])
  mounts.push(folder)
  return folder
}

export async function remount(folder: string, options: string): Promise<void> {
  await run('mount', ['-o', `remount,${options}`, folder])
}

export async function unmountAll(): Promise<void> {
  for (const folder of mounts.splice(0)) await run('umount', ['-l', folder])
}

/** Why nothing can be mounted here, or undefined. */
export async function whyNoMounts(): Promise<string | undefined> {
  try {
    await mountSmall('size=64k')
    await unmountAll()
    return undefined
  } catch (error) {
    return String(error)
  }
}
