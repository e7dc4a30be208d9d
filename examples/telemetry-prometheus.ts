/** Calls, their durations and their bytes as Prometheus metrics: serve `register.metrics()` at /metrics. */
import { tracingChannel } from 'node:diagnostics_channel'
import { Counter, Histogram } from 'prom-client'
import type { OperationEvent } from 'stowage'

const labelNames = ['storage', 'operation', 'outcome'] as const
const duration = new Histogram({
  name: 'stowage_operation_seconds',
  help: 'Duration of the calls of a storage',
  labelNames,
  buckets: [0.001, 0.01, 0.1, 1, 10, 60],
})
const bytes = new Counter({ name: 'stowage_bytes_total', help: 'Bytes saved and opened', labelNames })
const requests = new Counter({ name: 'stowage_requests_total', help: 'Requests to the server', labelNames })
const ends = new WeakMap<OperationEvent, ReturnType<typeof duration.startTimer>>()

tracingChannel<OperationEvent>('stowage:operation').subscribe({
  start(event) {
    ends.set(event, duration.startTimer())
  },
  end() {},
  asyncStart() {},
  asyncEnd(event) {
    const { storage, operation, outcome = 'Unknown' } = event
    const labels = { storage, operation, outcome }
    ends.get(event)?.(labels)
    bytes.inc(labels, event.bytes ?? 0)
    requests.inc(labels, event.attempts ?? 0)
  },
  error() {},
})
