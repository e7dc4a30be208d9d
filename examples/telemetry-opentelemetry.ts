/** Every call of a storage as an OpenTelemetry span, below the span of the request that made it. */
import { tracingChannel } from 'node:diagnostics_channel'
import { type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { OperationEvent } from 'stowage'

const tracer = trace.getTracer('stowage')
const spans = new WeakMap<OperationEvent, Span>()

tracingChannel<OperationEvent>('stowage:operation').subscribe({
  start(event) {
    const { operation, storage, file } = event
    const attributes = { 'stowage.storage': storage, ...(file !== undefined && { 'stowage.file': file }) }
    spans.set(event, tracer.startSpan(`stowage ${operation}`, { kind: SpanKind.CLIENT, attributes }))
  },
  end() {},
  asyncStart() {},
  asyncEnd(event) {
    const { bytes, attempts, outcome = 'Unknown' } = event
    const span = spans.get(event)
    if (bytes !== undefined) span?.setAttribute('stowage.bytes', bytes)
    if (attempts !== undefined) span?.setAttribute('stowage.attempts', attempts)
    if (outcome !== 'ok') {
      span?.setAttribute('error.type', outcome)
      span?.setStatus({ code: SpanStatusCode.ERROR })
    }
    span?.end()
  },
  error() {},
})
