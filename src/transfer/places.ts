import { type Place, placesOf } from '../driver.js'
import type { Folder, Name } from '../names.js'
import { driverOf, isStorage, type Storage } from '../storage.js'
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
  if (!storages.every(isStorage)) throw invalid(operation, 'source and target must be storages')
}

/** Refuses a target that holds the source, or shows its files: copies would be listed again, or nothing be copied. */
export function checkPlaces(operation: Operation, { source, target, from, to }: Sides): void {
  const ours = placesOf(driverOf(source), from)
  const [own, ...older] = placesOf(driverOf(target), to)
  // A `readThrough` storage may be copied over into one of its own two: that ends the move.
  const isEnd = (mine: Place) => ours.length > 1 && older.length === 0 && own && areEqual(mine, own)
  if (own && ours.some((mine) => overlap(mine, own) && !isEnd(mine))) {
    throw invalid(
      operation,
      'source and target are the same storage: prefix and targetPrefix must not overlap',
    )
  }
  if (older.some((each) => ours.some((mine) => overlap(mine, each)))) {
    throw invalid(
      operation,
      'target reads through to source, so nothing would be copied: give the storage in front of it',
    )
  }
}

/** Whether one folder is the other, or holds it. */
function overlap(one: Place, other: Place): boolean {
  const [a, b] = [addressOf(one), addressOf(other)]
  return mayBeSame(one, other) && (a.startsWith(b) || b.startsWith(a))
}

function areEqual(one: Place, other: Place): boolean {
  return mayBeSame(one, other) && addressOf(one) === addressOf(other)
}

/** The path of a folder, or else its public address, or else its name. */
function addressOf({ driver, folder }: Place): string {
  const name = (folder === '' ? 'x' : `${folder}/x`) as Name // In a folder whose name was checked.
  const path: unknown = Reflect.get(driver, 'path')
  if (typeof path === 'function') return String(Reflect.apply(path, driver, [name])).slice(0, -1)
  try {
    return driver.locate(name).slice(0, -1)
  } catch {
    return name.slice(0, -1)
  }
}

/** Whether two drivers may have the same files. On disk only the paths of the folders count. */
function mayBeSame({ driver: one }: Place, { driver: other }: Place): boolean {
  if (one === other || (hasPaths(one) && hasPaths(other))) return true
  // Only a label with `(…)` is an identity.
  return one.label === other.label && one.label.includes('(')
}

function hasPaths(driver: object): boolean {
  return typeof Reflect.get(driver, 'path') === 'function'
}
