import type { StorageDriver } from './driver.js'
import { isName, toFolder } from './names.js'
import { explain } from './operation.js'
import { checkOptions, LIST_OPTIONS, toOnInvalidName, toSignal } from './options.js'
import { eventOf, isObserved, observeItems } from './telemetry.js'
import type { ListedFile, ListOptions } from './types.js'

/** `Storage.list` in batches: a step of an async generator for each file costs more than the rest of the listing. */
export function listed(
  driver: StorageDriver,
  prefix: string,
  options: ListOptions,
): AsyncIterable<readonly ListedFile[]> {
  const batches = listing(driver, prefix, options)
  return isObserved() ? observeItems(eventOf('list', driver.label, prefix), batches) : batches
}

async function* listing(
  driver: StorageDriver,
  prefix: string,
  options: ListOptions,
): AsyncGenerator<readonly ListedFile[], void, undefined> {
  let signal: AbortSignal | undefined
  try {
    signal = toSignal(options)
    const folder = toFolder(prefix, true)
    checkOptions(options, LIST_OPTIONS)
    const onInvalidName = toOnInvalidName(options)
    signal?.throwIfAborted()
    for await (const batch of driver.list(folder, signal)) {
      let files: ListedFile[] = []
      for (const { name, size, lastModified, etag } of batch) {
        if (isName(name)) files.push({ name, size, lastModified, etag })
        else if (onInvalidName) {
          // Told in its place among the others.
          if (files.length > 0) yield files
          files = []
          onInvalidName(name)
        }
      }
      if (files.length > 0) yield files
      signal?.throwIfAborted()
    }
  } catch (error) {
    throw explain(driver, error, 'list', prefix, signal)
  }
}
