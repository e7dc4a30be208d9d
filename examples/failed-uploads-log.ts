/** One JSON line for each save that failed, and for each purge of the CDN's cache. Has no secret in it. */
import { tracingChannel } from 'node:diagnostics_channel'
import type { OperationEvent } from 'stowage'

const LOGGED = new Set(['save', 'copy', 'move', 'signedUpload', 'purge'])

tracingChannel<OperationEvent>('stowage:operation').subscribe({
  start() {},
  end() {},
  asyncStart() {},
  asyncEnd() {},
  error({ operation, storage, file, outcome, attempts }) {
    if (!LOGGED.has(operation)) return
    const time = new Date().toISOString()
    console.error(JSON.stringify({ time, level: 'error', operation, storage, file, outcome, attempts }))
  },
})
