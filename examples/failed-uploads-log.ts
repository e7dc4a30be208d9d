/** One JSON line for each save or upload that failed, and for each purge of the CDN's cache. Has no secret in it. */
import { tracingChannel } from 'node:diagnostics_channel'
import type { OperationEvent } from 'stowage'

const LOGGED = /^(?:save|copy|move|accept|signedUpload|directUpload\..*|purge)$/

tracingChannel<OperationEvent>('stowage:operation').subscribe({
  start() {},
  end() {},
  asyncStart() {},
  asyncEnd() {},
  error({ operation, storage, file, outcome, attempts }) {
    if (!LOGGED.test(operation)) return
    const time = new Date().toISOString()
    console.error(JSON.stringify({ time, level: 'error', operation, storage, file, outcome, attempts }))
  },
})
