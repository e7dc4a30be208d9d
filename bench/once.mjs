// A child of bench.mjs: one contestant does one task once in a fresh process. Prints CPU, time and memory growth as one
// line of JSON. node --expose-gc once.mjs up|down|list|deleteMany <contestant> '<settings>'
import './builtin-fetch.mjs'
import { createReadStream } from 'node:fs'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { S3_CONTESTANTS } from './s3-contestants.mjs'

const [, , task, name, json] = process.argv
/** `file` has `bytes` bytes, all in a hole, so that the disk is not measured. */
const { endpoint, bytes, count, file } = JSON.parse(json)
const CHUNK = 64 * 1024
/** Milliseconds between two samples of the memory. */
const SAMPLE = 50

/** A file stream, like most uploads: each chunk has its own memory, and the length is unknown. */
function source(length) {
  return createReadStream(file, { end: length - 1 })
}

async function drain(body) {
  let received = 0
  const sink = new Writable({
    write(chunk, _encoding, done) {
      received += chunk.length
      done()
    },
  })
  if (typeof body.getReader === 'function') {
    const reader = body.getReader()
    for (let next = await reader.read(); !next.done; next = await reader.read()) received += next.value.length
  } else {
    await pipeline(body, sink)
  }
  return received
}

const contestant = await S3_CONTESTANTS[name](endpoint)
const control = (action) => fetch(`${endpoint}/-/${action}`).then((answer) => answer.text())

const tasks = {
  up: {
    needs: 'upload',
    prepare: async () => {
      await contestant.upload('streams/warm-up', source(CHUNK), CHUNK)
      await control('clear?prefix=streams/')
    },
    run: () => contestant.upload('streams/large', source(bytes), bytes),
    check: async () =>
      Number(
        (await fetch(`${endpoint}/bench/streams/large`, { method: 'HEAD' })).headers.get('content-length'),
      ) === bytes,
  },
  down: {
    needs: 'download',
    prepare: async () => {
      await control(`fill?prefix=streams/large-&count=1&size=${bytes}`)
      await control('fill?prefix=streams/small-&count=1&size=1000')
      await drain(await contestant.download('streams/small-0'))
    },
    run: async () => drain(await contestant.download('streams/large-0')),
    check: (received) => received === bytes,
  },
  list: {
    needs: 'list',
    prepare: async () => {
      for await (const _ of contestant.list('generated-10/'));
    },
    run: async () => {
      let listed = 0
      for await (const _ of contestant.list(`generated-${count}/`)) listed++
      return listed
    },
    check: (listed) => listed === count,
  },
  deleteMany: {
    needs: 'deleteMany',
    prepare: async () => {
      await control(`fill?prefix=doomed/report-&count=${count}`)
      await contestant.deleteMany(['streams/none-1', 'streams/none-2'])
    },
    run: () => contestant.deleteMany(Array.from({ length: count }, (_, index) => `doomed/report-${index}`)),
    check: async () =>
      !/<Key>/.test(await (await fetch(`${endpoint}/bench/?list-type=2&prefix=doomed/`)).text()),
  },
}

/** Memory that a list retains: the heap after a collection near its end, minus the heap near its start. */
async function listRetains() {
  const heap = []
  let listed = 0
  for await (const _ of contestant.list(`generated-${count}/`)) {
    listed++
    if (listed !== Math.round(count * 0.1) && listed !== Math.round(count * 0.9)) continue
    globalThis.gc()
    heap.push(process.memoryUsage().heapUsed)
  }
  return (heap[1] - heap[0]) / 2 ** 20
}

const { needs, prepare, run, check } = tasks[task]
if (!contestant[needs]) {
  process.stdout.write('{"missing":true}\n', () => process.exit())
} else {
  await prepare()
  await control('counts')
  globalThis.gc?.()
  const rssBefore = process.memoryUsage.rss()
  let peak = rssBefore
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  const timer = setInterval(look, SAMPLE)
  const cpuBefore = process.cpuUsage()
  const wallBefore = process.hrtime.bigint()
  const result = await run()
  const wall = Number(process.hrtime.bigint() - wallBefore) / 1e6
  const { user, system } = process.cpuUsage(cpuBefore)
  clearInterval(timer)
  look()
  const requests = Object.values(JSON.parse(await control('counts'))).reduce((sum, each) => sum + each, 0)
  const right = await check(result)
  const line = { cpu: (user + system) / 1000, wall, rss: (peak - rssBefore) / 2 ** 20, requests, right }
  if (task === 'list') line.retained = await listRetains()
  process.stdout.write(`${JSON.stringify(line)}\n`, () => process.exit())
}
