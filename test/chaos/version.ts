/** Files whose content tells which version it is, so that a half one, or one with another's metadata, shows. */
import { isStorageError, type Storage } from 'stowage'

/**
 * `d<number>`, described: with metadata and a content type of its own. `p<number>`, plain: neither. The rest of the
 * version may tell who wrote it.
 */
export type Version = string

const SIZES = [0, 10, 700, 5_000, 66_000, 200_000]

export function toVersion(described: boolean, index: number, writer = ''): Version {
  return `${described ? 'd' : 'p'}${index}${writer}`
}

/** All of a version's bytes. */
export function textOf(version: Version): string {
  const size = SIZES[Number.parseInt(version.slice(1), 10) % SIZES.length] ?? 0
  const line = `${version}\n`
  return line + line.repeat(Math.ceil(size / line.length)).slice(0, size)
}

export function sizeOf(version: Version): number {
  return textOf(version).length
}

/** What is saved along with it. */
export function attributesOf(version: Version) {
  return version.startsWith('d')
    ? { contentType: 'text/x-described', metadata: { version, size: String(sizeOf(version)) } }
    : { contentType: 'text/plain', metadata: {} }
}

/** Whether the filesystem keeps this version under this name with a sidecar. */
export function needsSidecar(name: string, version: Version): boolean {
  return version.startsWith('d') || !name.endsWith('.txt')
}

interface Described {
  readonly size: number
  readonly contentType: string
  readonly metadata: Readonly<Record<string, string>>
}

/** What is wrong with a file of this version, or undefined. */
export function faultOf(version: Version, { size, contentType, metadata }: Described): string | undefined {
  const expected = attributesOf(version)
  if (size !== sizeOf(version)) return `${version} of ${size} bytes`
  // Servers may add a charset of their own.
  if (contentType.split(';')[0] !== expected.contentType) return `${version} with the type ${contentType}`
  for (const key of new Set([...Object.keys(metadata), ...Object.keys(expected.metadata)])) {
    if (metadata[key] !== (expected.metadata as Record<string, string>)[key]) {
      return `${version} with the metadata ${JSON.stringify(metadata)}`
    }
  }
  return undefined
}

/** Reads a file as a whole. Null where there is none; throws an {@link Unwhole} where it is not just one version. */
export async function versionAt(storage: Storage, name: string): Promise<Version | null> {
  try {
    const file = await storage.open(name)
    const text = await file.text()
    const version = text.slice(0, Math.max(0, text.indexOf('\n')))
    if (!/^[dp]\d/.test(version) || text !== textOf(version)) {
      throw new Unwhole(
        `${name}: ${text.length} bytes, not whole, that begin ${JSON.stringify(text.slice(0, 20))}`,
      )
    }
    const fault = faultOf(version, file)
    if (fault !== undefined) throw new Unwhole(`${name}: ${fault}`)
    return version
  } catch (error) {
    if (isStorageError(error) && error.code === 'NotFound') return null
    throw error
  }
}

export class Unwhole extends Error {}
