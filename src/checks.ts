import type { Folder } from './names.js'

/** The outcome of one check. */
export type CheckStatus = 'ok' | 'warning' | 'failed' | 'skipped'

/** What a check found out. */
export interface CheckOutcome {
  /**
   * `failed`: the storage does not do what the application needs. `warning`: it works, with a weakness. `skipped`: not
   * tried, and the message says why.
   */
  readonly status: CheckStatus
  /** One sentence, for people. Never holds a secret or a signed address. */
  readonly message: string
  /** What to do, in one sentence. With every warning and failure. */
  readonly remedy?: string
}

/** One record of `diagnose`. */
export interface CheckResult extends CheckOutcome {
  /** The heading that it belongs to: `Server`, `Disk`, `Files`, … Records of one group come one after another. */
  readonly group: string
  /** The check, the same in every version: `write`, `create-only`, `signed-get`, … */
  readonly check: string
}

/** One check of a backend, for `diagnose`. */
export interface Check {
  /** The heading that it belongs to. */
  readonly group: string
  /** A name that no other check of the driver has: lower case, with hyphens. */
  readonly check: string
  /** Whether nothing else works without it. Where it fails, the checks of files are skipped. */
  readonly essential: boolean
  /** Whether it writes. Read-only storages skip it. */
  readonly writes: boolean
  /** Checks that come before. Where one of them failed or was skipped, this one is skipped. */
  readonly needs: readonly string[]
  /**
   * Does the check. It MUST touch nothing outside of the folder of its request, and leave nothing there. It SHOULD return
   * failures; what it throws counts as one.
   */
  run(request: CheckRequest): Promise<CheckOutcome>
}

/** One run of a check. */
export interface CheckRequest {
  /** A folder of its own that nobody else uses. It is not there. */
  readonly folder: Folder
  /** Whether the storage is written to. */
  readonly writable: boolean
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal
}

/** It works. */
export function ok(message: string): CheckOutcome {
  return { status: 'ok', message }
}

/** It works, with a weakness. */
export function warning(message: string, remedy: string): CheckOutcome {
  return { status: 'warning', message, remedy }
}

/** It does not work. */
export function failed(message: string, remedy: string): CheckOutcome {
  return { status: 'failed', message, remedy }
}

/** It was not tried. */
export function skipped(message: string): CheckOutcome {
  return { status: 'skipped', message }
}
