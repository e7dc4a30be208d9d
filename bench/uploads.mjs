// Memory of a server that takes 50 uploads of 100 MiB at the same time and stores them on disk.
// npm run build && node bench/uploads.mjs [uploads] [MiB each]
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const MIB = 1024 * 1024
const BOUNDARY = 'b'.repeat(30)
const HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`
const TAIL = `\r\n--${BOUNDARY}--\r\n`

async function serve(location) {
  const dist = process.env.STOWAGE_DIST ?? new URL('../dist', import.meta.url).pathname
  const load = (file) => import(pathToFileURL(join(dist, file)).href)
  const [{ FileSystemStorage }, { receiveUpload, httpError }] = await Promise.all([
    load('index.js'),
    load('http.js'),
  ])
  const storage = new FileSystemStorage({ location })
  const server = createServer(async (incoming, outgoing) => {
    try {
      const { files } = await receiveUpload(storage, incoming, { name: ({ filename }) => filename })
      outgoing.writeHead(201).end(String(files[0].size))
    } catch (error) {
      outgoing.writeHead(httpError(error).status).end()
    }
  })
  let start = 0
  let peak = 0
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }
  server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
  process.on('message', (message) => {
    if (message === 'begin') {
      start = process.memoryUsage.rss()
      setInterval(sample, 20)
    } else {
      sample()
      process.send({ grown: peak - start, start, peak })
    }
  })
}

function upload(port, bytes) {
  const headers = {
    'content-type': `multipart/form-data; boundary=${BOUNDARY}`,
    'content-length': HEAD.length + bytes + TAIL.length,
  }
  return new Promise((resolve, reject) => {
    const outgoing = request({ port, host: '127.0.0.1', method: 'POST', headers }, async (answer) => {
      const text = (await answer.toArray()).join('')
      if (answer.statusCode === 201 && text === String(bytes)) resolve()
      else reject(new Error(`${answer.statusCode} ${text}`))
    })
    outgoing.on('error', reject)
    outgoing.write(HEAD)
    const chunk = Buffer.alloc(64 * 1024, 'x')
    let left = bytes
    const go = () => {
      while (left > 0) {
        const piece = chunk.subarray(0, Math.min(left, chunk.length))
        left -= piece.length
        if (!outgoing.write(piece)) return outgoing.once('drain', go)
      }
      outgoing.end(TAIL)
    }
    go()
  })
}

if (process.argv[2] === 'serve') await serve(process.argv[3])
else {
  const uploads = Number(process.argv[2] ?? 50)
  const bytes = Number(process.argv[3] ?? 100) * MIB
  const location = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'stowage-uploads-'))
  const server = fork(new URL(import.meta.url).pathname, ['serve', location])
  const next = () => new Promise((resolve) => server.once('message', resolve))
  try {
    const { port } = await next()
    await upload(port, MIB)
    server.send('begin')
    const started = performance.now()
    await Promise.all(Array.from({ length: uploads }, () => upload(port, bytes)))
    const seconds = (performance.now() - started) / 1000
    server.send('end')
    const { grown, start, peak } = await next()
    const mib = (value) => Math.round(value / MIB)
    console.log(
      `${uploads} uploads of ${mib(bytes)} MiB: RSS ${mib(start)} MiB, at most ${mib(peak)} MiB, grown by ${mib(grown)} MiB; ${seconds.toFixed(1)} s`,
    )
  } finally {
    server.kill()
    rmSync(location, { recursive: true, force: true })
  }
}
