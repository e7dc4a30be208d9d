import type { Name } from './names.js'

/** Content on its way: nobody sees it until it is published. */
export interface Staged {
  /**
   * Makes the content visible under `name`, in one step, as durable as the backend promises. With `createOnly` a taken
   * name MUST be left alone, without a race, and the answer is false; the next call has another name.
   */
  publish(name: Name, createOnly: boolean): Promise<boolean>
  /** Frees whatever is left. Called once, in any case. MUST NOT fail. */
  discard(): Promise<void>
}
