import type { CopyWork } from '../copy.js'
import type { Part, Upload } from '../object-api.js'
import type { MarkedWrite, WholeWrite } from '../write-once.js'

/** How a server publishes a write: it depends on the conditions that the server knows. Chosen once a storage. */
export interface Publisher {
  /** Puts an object. False: create-only, and the name is taken. */
  put(write: WholeWrite): Promise<boolean>
  /** Makes an upload the object of its key. False: create-only, and the name is taken. */
  complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean>
  /** Copies an object, with its attributes. False: create-only, and the name is taken. */
  copy(work: CopyWork): Promise<boolean>
}
