import assert from 'node:assert/strict'
import { SpanStatusCode, trace } from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { register } from 'prom-client'
import { MemoryStorage } from 'stowage'
import { createUploadHandler } from 'stowage/http'
import { afterEach, it, vi } from 'vitest'
import { BUSY, first, setUpR2 } from '../integration/r2-setup.js'

const r2 = setUpR2(true)
afterEach(() => vi.restoreAllMocks())

it('makes spans of OpenTelemetry', async () => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  trace.setGlobalTracerProvider(provider)
  await import('../../examples/telemetry-opentelemetry.js')
  const storage = r2.storage()
  r2.server.behaviour.onRequest = first('PutObject', BUSY)
  await storage.save('a.txt', 'hello')
  await assert.rejects(storage.stat('none'))
  const spans = exporter.getFinishedSpans()
  assert.deepEqual(
    spans.map(({ name, attributes, status }) => [name, attributes, status.code]),
    [
      [
        'stowage save',
        {
          'stowage.storage': 'R2Storage(test-bucket)',
          'stowage.file': 'a.txt',
          'stowage.bytes': 5,
          'stowage.attempts': 2,
        },
        SpanStatusCode.UNSET,
      ],
      [
        'stowage stat',
        {
          'stowage.storage': 'R2Storage(test-bucket)',
          'stowage.file': 'none',
          'stowage.attempts': 2,
          'error.type': 'NotFound',
        },
        SpanStatusCode.ERROR,
      ],
    ],
  )
})

it('counts for Prometheus', async () => {
  await import('../../examples/telemetry-prometheus.js')
  const storage = new MemoryStorage()
  await storage.save('a', 'hello')
  await storage.save('b', 'world')
  await assert.rejects(storage.open('none'))
  const metrics = await register.metrics()
  const saves = '{storage="MemoryStorage",operation="save",outcome="ok"}'
  assert.ok(metrics.includes(`stowage_operation_seconds_count${saves} 2`), metrics)
  assert.ok(metrics.includes(`stowage_bytes_total${saves} 10`))
  assert.match(metrics, /stowage_operation_seconds_count\{.*operation="open",outcome="NotFound"\} 1/)
})

it('logs failed uploads', async () => {
  const lines: string[] = []
  vi.spyOn(console, 'error').mockImplementation((line: string) => lines.push(line))
  await import('../../examples/failed-uploads-log.js')
  const storage = new MemoryStorage()
  await storage.save('a', 'x')
  await assert.rejects(storage.save('a', 'x', { ifExists: 'error' }))
  await assert.rejects(storage.open('none'))
  assert.equal(lines.length, 1)
  await assert.rejects(storage.accept('a', 'b', { allowedTypes: ['image/png'] }))
  const authorize = () => true
  const settings = { authorize, name: () => 'c', maxSize: 1, allowedTypes: ['image/png'] }
  await createUploadHandler(storage, settings)(new Request('http://app.test/s3/multipart/none?key=c'))
  assert.deepEqual(
    lines.slice(1).map((line) => JSON.parse(line).operation),
    ['accept', 'directUpload.list'],
  )
  const { time, ...rest } = JSON.parse(lines[0] ?? '')
  assert.match(time, /^\d{4}-/)
  assert.deepEqual(rest, {
    level: 'error',
    operation: 'save',
    storage: 'MemoryStorage',
    file: 'a',
    outcome: 'AlreadyExists',
  })
})
