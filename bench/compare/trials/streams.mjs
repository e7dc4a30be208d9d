import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { attempt, errorCode, mark, no, yes } from '../outcome.mjs'

const MiB = 2 ** 20

async function* gibibyte() {
  for (let sent = 0; sent < 1024 * 16; sent++) yield Buffer.alloc(MiB / 16, sent)
}

async function upload(storage, { endpoint, bucket }) {
  // So that modules that are loaded at the first use do not count.
  await storage.save('small.bin', Buffer.from('small'))
  globalThis.gc?.()
  const before = process.memoryUsage.rss()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 10)
  const { error, late } = await attempt(() => storage.save('big.bin', Readable.from(gibibyte())), 280_000)
  clearInterval(timer)
  if (late) return no('never ends')
  if (error) return no(`fails: \`${errorCode(error)}\``)
  const { headers } = await fetch(`${endpoint}/${bucket}/big.bin`, { method: 'HEAD' })
  if (headers.get('content-length') !== String(1024 * MiB))
    return no(`stores ${headers.get('content-length')} bytes`)
  const grown = (peak - before) / MiB
  return mark(grown < 512, true, `${Math.round(grown)} MiB of memory`)
}

/** Answers each GET with half of the body that it promised. */
async function halfServer(test) {
  const server = createServer((request, response) => {
    request.resume()
    response.writeHead(200, {
      'content-length': MiB,
      'content-type': 'application/octet-stream',
      etag: '"0123456789abcdef0123456789abcdef"',
      'last-modified': new Date(0).toUTCString(),
    })
    if (request.method === 'HEAD') return response.end()
    response.write(Buffer.alloc(MiB / 2), () => response.socket.end())
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return test(`http://127.0.0.1:${server.address().port}`)
}

async function truncated(contestant, server) {
  return halfServer(async (endpoint) => {
    const storage = await contestant.s3({ ...server, options: { ...server.options, endpoint } })
    const { value, error, late } = await attempt(() => storage.read('half.bin'), 90_000)
    if (late) return no('never ends')
    return error ? yes('an error') : no(`${value.length} bytes, no error`)
  })
}

export const trials = [
  {
    id: 'stream',
    title: 'Upload of 1 GiB of unknown length to S3',
    on: 'plain',
    limit: 300_000,
    run: async ({ contestant, server }) => upload(await contestant.s3(server), server.options),
  },
  {
    id: 'truncated',
    title: 'A download that is cut in the middle',
    on: 'r2',
    run: ({ contestant, server }) => truncated(contestant, server),
  },
]
