import type { Folder } from '../names.js'
import type { Storage } from '../storage.js'
import { invalid, type Operation } from './failures.js'

/** Two storages, and a folder in each. */
export interface Sides {
  readonly source: Storage
  readonly target: Storage
  readonly from: Folder
  readonly to: Folder
}

/** Refuses a value that is not a storage. */
export function checkStorages(operation: Operation, ...storages: readonly Storage[]): void {
  for (const storage of storages) {
    if (typeof storage?.list !== 'function' || typeof storage.save !== 'function') {
      throw invalid(operation, 'source and target must be storages')
    }
  }
}

/** Refuses a target that holds the source, or shows its files: copies would be listed again, or nothing be copied. */
export function checkPlaces(operation: Operation, { source, target, from, to }: Sides): void {
  if (overlap(placeOf(source, from), placeOf(target, to)) && areSame(source, target)) {
    throw invalid(
      operation,
      'source and target are the same storage: prefix and targetPrefix must not overlap',
    )
  }
  if (readsThrough(target, source)) {
    throw invalid(
      operation,
      'target reads through to source, so nothing would be copied: give the storage in front of it',
    )
  }
}

/** The place of a folder: its path, or else its public address, or else its name. */
function placeOf(storage: Storage, folder: Folder): string {
  const name = folder === '' ? 'x' : `${folder}/x`
  const path: unknown = Reflect.get(storage, 'path')
  if (typeof path === 'function') return String(Reflect.apply(path, storage, [name])).slice(0, -1)
  try {
    return storage.url(name).slice(0, -1)
  } catch {
    return name.slice(0, -1)
  }
}

function overlap(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

/** Whether two storages may hold the same files. On disk only the paths of the folders count. */
function areSame(a: Storage, b: Storage): boolean {
  if (a === b || (hasPaths(a) && hasPaths(b))) return true
  const [one, other] = [String(a), String(b)]
  // `R2Storage(bucket)/folder` of a wrapper is a part of `R2Storage(bucket)`. Only a label with `(…)` is an identity.
  return one.includes('(') && other.includes('(') && (one.startsWith(other) || other.startsWith(one))
}

/** Whether every file of `older` is already seen through `storage`: `readThrough(R2Storage(b), FileSystemStorage(/x))`. */
function readsThrough(storage: Storage, older: Storage): boolean {
  const [label, part] = [String(storage), String(older)]
  return label.startsWith('readThrough(') && part.includes('(') && label.endsWith(`, ${part})`)
}

function hasPaths(storage: Storage): boolean {
  return typeof Reflect.get(storage, 'path') === 'function'
}
