import { driverOf, readThrough, type Staged, type Storage } from 'stowage'
import { hasFile } from '../../src/driver.js'
import { altered } from './altered.js'

/**
 * `readThrough(storage, older)` where every other file that is saved lands in the older one, as if it had not been moved
 * yet. Everything else is the work of `readThrough`. Files become visible one after the other: in real use nobody saves
 * to the older storage.
 */
export function halfMoved(storage: Storage, older: Storage): Storage {
  const [newerDriver, olderDriver] = [driverOf(storage), driverOf(older)]
  let saves = 0
  let last: Promise<unknown> = Promise.resolve()
  const oneByOne = (staged: Staged): Staged => ({
    publish: (...given) => {
      const publishing = last.then(() => staged.publish(...given))
      last = publishing.catch(() => {})
      return publishing
    },
    discard: () => staged.discard(),
  })
  return altered(readThrough(storage, older), (inner) => ({
    stageCopy: async (request) => oneByOne(await inner.stageCopy(request)),
    stage: async (request) => {
      if (saves++ % 2 === 0) return oneByOne(await inner.stage(request))
      const staged = await olderDriver.stage(request)
      return oneByOne({
        publish: async (name, createOnly) => {
          if (createOnly && (await hasFile(newerDriver, name, request.signal))) return false
          if (!(await staged.publish(name, createOnly))) return false
          if (!createOnly) await newerDriver.remove([name], request.signal)
          return true
        },
        discard: () => staged.discard(),
      })
    },
  }))
}
