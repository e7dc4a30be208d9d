import { FileSystemDriver } from '../drivers/filesystem/driver.js'
import type { LocalSigningOptions } from '../drivers/local-signer.js'
import { toBaseUrl } from '../drivers/options.js'
import { inContext, Problem } from '../errors.js'
import { toName } from '../names.js'
import { checkConstructorOptions, type OptionNames } from '../options.js'
import { Storage } from '../storage.js'

/** Options of {@link FileSystemStorage}. */
export interface FileSystemStorageOptions extends LocalSigningOptions {
  /** The folder that the files are kept in; made with the first save. Default `./uploads`. */
  location?: string | undefined
  /** The start of every `url()`. Default `/uploads/`. */
  baseUrl?: string | undefined
  /**
   * Permissions of files, exact whatever the umask. Not set where they are right already. `null` leaves them to umask
   * and mount: some mounts refuse every change of a mode. Default `0o644`.
   */
  fileMode?: number | null | undefined
  /** Permissions of every folder that is made, exact whatever the umask; `null` as for `fileMode`. Default `0o755`. */
  directoryMode?: number | null | undefined
  /** Whether what is acknowledged survives a power cut. Default true; false does not wait for the disk. */
  fsync?: boolean | undefined
  /**
   * Whether names are written to the disk so that Windows takes them, for folders that are shared with it: `a:b`,
   * `What?.pdf`, `con`, `etc.`. Names that Windows takes anyway are written as they are. On Windows this is always done.
   * Default false.
   */
  portableNames?: boolean | undefined
}

const OPTIONS: OptionNames<FileSystemStorageOptions> = {
  location: true,
  baseUrl: true,
  fileMode: true,
  directoryMode: true,
  fsync: true,
  portableNames: true,
  signingSecret: true,
  realm: true,
}

/**
 * Files in a folder of the local filesystem, under their own names, so that other programs can use them as well. The
 * folder `.stowage` below the root holds files that are just being written, and attributes that a file's name does not
 * tell: another content type, headers, metadata. Keep it with the files in backups; copies may cut modification times.
 *
 * A save is visible in one step and, with `fsync`, on the disk when it is acknowledged. Symbolic links never lead out
 * of the root. A folder that is empty after a delete is removed, as on R2 and S3 folders do not exist by themselves.
 * Untrusted local users must not be able to write to the root.
 */
export class FileSystemStorage extends Storage {
  readonly #driver: FileSystemDriver

  constructor(options: FileSystemStorageOptions = {}) {
    const driver = inContext({ operation: 'new FileSystemStorage' }, () => toDriver(options))
    super(driver)
    this.#driver = driver
  }

  /** The absolute path of a file, for programs that want one. @throws {InvalidNameError} */
  path(name: string): string {
    return inContext({ operation: 'path', storage: this.toString() }, () => this.#driver.path(toName(name)))
  }
}

function toDriver(options: FileSystemStorageOptions): FileSystemDriver {
  checkConstructorOptions(options, OPTIONS)
  const { location = './uploads', fileMode = 0o644, directoryMode = 0o755, fsync = true } = options
  const { portableNames = false } = options
  if (typeof location !== 'string' || location === '' || location.includes('\0')) {
    throw new Problem('Misconfigured', 'the option location must be the path of a folder')
  }
  for (const [option, mode] of Object.entries({ fileMode, directoryMode })) {
    if (mode !== null && (!Number.isInteger(mode) || mode < 0 || mode > 0o7777)) {
      throw new Problem(
        'Misconfigured',
        `the option ${option} must be a permission mode such as 0o644, or null`,
      )
    }
  }
  return new FileSystemDriver({
    location,
    baseUrl: toBaseUrl(options.baseUrl),
    fileMode,
    directoryMode,
    fsync,
    portableNames,
    signingSecret: options.signingSecret,
    realm: options.realm,
  })
}
