import type { Staged, StageRequest } from '../driver.js'

/** Takes a content in, as `StorageDriver.stage` does. */
export type Stage = (request: StageRequest) => Promise<Staged>

/** How one of several completions of an upload gets to publish it. */
export interface Claim {
  /** Takes the upload in one step. Waits for another that has; MUST throw `NotFound` where that has published it. */
  take(): Promise<void>
  /** The upload was not published: it can be completed again. MUST NOT fail. */
  giveBack(): Promise<void>
  /** The upload was published. MUST NOT fail. */
  remove(): Promise<void>
}

/** A staged content that is published once, however many completions have staged it. */
export function claimed(staged: Staged, claim: Claim): Staged {
  return {
    publish: async (name, createOnly) => {
      await claim.take()
      let published = false
      try {
        published = await staged.publish(name, createOnly)
        return published
      } finally {
        await (published ? claim.remove() : claim.giveBack())
      }
    },
    discard: () => staged.discard(),
  }
}
