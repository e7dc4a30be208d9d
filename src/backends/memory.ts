import type { LocalSigningOptions } from '../drivers/local-signer.js'
import { MemoryDriver } from '../drivers/memory.js'
import { toBaseUrl } from '../drivers/options.js'
import { inContext } from '../errors.js'
import { checkConstructorOptions, type OptionNames } from '../options.js'
import { Storage } from '../storage.js'

/** Options of {@link MemoryStorage}. */
export interface MemoryStorageOptions extends LocalSigningOptions {
  /** The text that `url()` puts before a name. Default `/uploads/`. */
  baseUrl?: string | undefined
}

const OPTIONS: OptionNames<MemoryStorageOptions> = { baseUrl: true, signingSecret: true, realm: true }

/**
 * Files in the memory of this process: the reference for the other backends, and the fastest one for an application's
 * own tests. Folders do not exist by themselves, as on R2 and S3.
 */
export class MemoryStorage extends Storage {
  constructor(options: MemoryStorageOptions = {}) {
    super(
      inContext({ operation: 'new MemoryStorage' }, () => {
        checkConstructorOptions(options, OPTIONS)
        return new MemoryDriver(toBaseUrl(options.baseUrl), options)
      }),
    )
  }
}
