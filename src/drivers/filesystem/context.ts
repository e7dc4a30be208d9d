import type { Root } from './root.js'
import type { Sidecars } from './sidecars.js'

/** Shared by all parts of one storage. */
export interface Context {
  readonly root: Root
  readonly sidecars: Sidecars
  /** Whether a save is on the disk, not only in the system's cache, when it is acknowledged. */
  readonly fsync: boolean
  /** Null: left to umask and mount. */
  readonly fileMode: number | null
}
