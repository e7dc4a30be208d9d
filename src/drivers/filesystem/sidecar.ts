import { basename, dirname, join, sep } from 'node:path'
import { crypto } from '../../crypto.js'
import { Problem } from '../../errors.js'
import { pickAttributes } from '../../headers.js'
import { type Name, toName } from '../../names.js'
import type { Attributes } from '../../types.js'
import type { Version } from './version.js'

/** The places of a version's sidecar. */
export interface SidecarPaths {
  /** `<hash of the name>-<time in ns>-<size>-<inode>`: of this version only. */
  readonly own: string
  /** `<hash of the name>-<size>-<time in s>`: the alias, by which copies of this version find it. */
  readonly alias: string
}

/** The place of all sidecars of one name. */
export interface SidecarPlace {
  /** One of 256, by the hash of the name. */
  readonly folder: string
  /** The start of their paths. */
  readonly start: string
}

/** `folder` holds all sidecars. */
export function sidecarPlace(folder: string, name: Name): SidecarPlace {
  const digest = crypto().hash('sha256', name, 'hex').slice(0, 32)
  const shard = `${folder}${sep}${digest.slice(0, 2)}`
  return { folder: shard, start: `${shard}${sep}${digest}` }
}

export function sidecarPaths({ start }: SidecarPlace, { ino, mtimeNs, size }: Version): SidecarPaths {
  return {
    own: `${start}-${mtimeNs}-${size}-${ino}`,
    alias: `${start}-${size}-${mtimeNs / SECOND}`,
  }
}

/** The parts of a sidecar's path. Null for other paths. */
export function parseSidecarPath(path: string): {
  readonly size: bigint
  /** Undefined for an alias. */
  readonly time: bigint | undefined
  readonly alias: string
} | null {
  const [, digest, own, aliased] = /^([0-9a-f]{32})-(?:(\d+-\d+)-\d+|(\d+-\d+))$/.exec(basename(path)) ?? []
  const [first = '0', second = '0'] = (own ?? aliased ?? '').split('-')
  if (digest === undefined) return null
  if (own === undefined) return { size: BigInt(first), time: undefined, alias: path }
  const [time, size] = [BigInt(first), BigInt(second)]
  return { size, time, alias: join(dirname(path), `${digest}-${size}-${time / SECOND}`) }
}

/** The content of a sidecar. */
export interface Sidecar {
  readonly name: Name
  /** The modification time of its version, in nanoseconds. Undefined in one that stowage 0.1 wrote. */
  readonly time: bigint | undefined
  readonly attributes: Attributes
}

export function encodeSidecar(
  name: Name,
  { mtimeNs }: Pick<Version, 'mtimeNs'>,
  attributes: Attributes,
): string {
  return JSON.stringify({ name, time: String(mtimeNs), ...attributes })
}

export function decodeSidecar(text: string): Sidecar {
  try {
    const { name, time, ...attributes } = JSON.parse(text)
    return {
      name: toName(name),
      time: typeof time === 'string' ? BigInt(time) : undefined,
      attributes: pickAttributes(attributes),
    }
  } catch (cause) {
    throw new Problem('Corrupt', 'the stored metadata cannot be read', { cause })
  }
}

/** The same, null for what cannot be read. */
export function tryToDecodeSidecar(text: string): Sidecar | null {
  try {
    return decodeSidecar(text)
  } catch {
    return null
  }
}

/** Whether a time is another as copies keep it: whole, or cut to micro- or milliseconds, or to seconds. */
export function isCopyOfTime(copy: bigint, time: bigint): boolean {
  for (let unit = 1n; unit <= SECOND; unit *= 10n) if (copy === time - (time % unit)) return true
  return false
}

const SECOND = 1_000_000_000n
