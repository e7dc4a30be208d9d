import type { CopyWork } from '../copy.js'
import type { Part, Upload } from '../object-api.js'
import type { MarkedWrite } from '../write-once.js'

/**
 * How a server publishes what is not one put: it depends on the conditions that the server knows. Chosen once a
 * storage. Another one may look first and then write (`Checking`), where a server ignores even `If-None-Match` on PUT.
 */
export interface Publisher {
  /** Makes an upload the object of its key. False: create-only, and the name is taken. */
  complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean>
  /** Copies an object, with its attributes. False: create-only, and the name is taken. */
  copy(work: CopyWork): Promise<boolean>
}
