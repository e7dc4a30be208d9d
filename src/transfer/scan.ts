import { toName } from '../names.js'
import { explain, perform } from '../operation.js'
import { driverBehind, type Storage } from '../storage.js'
import { isObserved } from '../telemetry.js'
import { readBytes, SMALL_FILE } from './read-bytes.js'

type Take = (piece: Uint8Array) => void

/**
 * Calls `take` with all bytes of a file, in the way that costs its storage least. A piece is valid during its call only.
 * Fails as `open` and its content do. An abort ends the wait at once.
 */
export async function scan(storage: Storage, name: string, take: Take, signal: AbortSignal): Promise<void> {
  // A subclass may override `open`; then its bytes are compared, because they are the ones that are copied.
  const driver = driverBehind(storage, 'open')
  if (driver?.scan === undefined) {
    const file = await storage.open(name, { signal })
    if (file.size <= SMALL_FILE) take(await readBytes(file, signal))
    else for await (const chunk of file.stream()) take(chunk)
  } else if (isObserved()) {
    // To subscribers it is the `open` that it stands for.
    await perform(driver, 'open', name, { signal }, async (_, event) => {
      const count = (piece: Uint8Array) => {
        if (event) event.bytes = (event.bytes ?? 0) + piece.byteLength
        take(piece)
      }
      await driver.scan?.({ name: toName(name, driver.nameLimit), signal, take: count })
    })
  } else {
    try {
      signal.throwIfAborted()
      await driver.scan({ name: toName(name, driver.nameLimit), signal, take })
    } catch (error) {
      throw explain(driver, error, 'open', name, signal)
    }
  }
}
