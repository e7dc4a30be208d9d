/** An upload that is refused while its client still sends: the client has to see the answer. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { MemoryStorage } from 'stowage'
import { createUploadHandler, toNodeListener } from 'stowage/http'
import { describe, it, onTestFinished } from 'vitest'

/** An upload handler on a real port. */
async function serving(): Promise<{ port: number; requests: IncomingMessage[] }> {
  const storage = new MemoryStorage({ signingSecret: 'a'.repeat(32) })
  const listener = toNodeListener(
    createUploadHandler(storage, { authorize: () => true, name: ({ filename }) => filename }),
  )
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    listener(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, requests }
}

/** What a client gets that sends all of its request before it reads. */
async function answerAfterSending(port: number, head: string, pieces: number): Promise<string> {
  const socket = connect(port, '127.0.0.1').pause()
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(head)
  for (let piece = 0; piece < pieces && !socket.destroyed; piece++) {
    socket.write(Buffer.alloc(20_000, 'x'))
    await sleep(5)
  }
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    answer += text
  })
  if (!socket.closed) await once(socket.resume(), 'close')
  return answer
}

const HEAD = 'POST /s3/multipart HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n'

describe('with Connection: close', () => {
  it('a slow client that sends everything before it reads sees the 413', async () => {
    const { port } = await serving()
    const answer = await answerAfterSending(port, HEAD, 50)
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.match(answer, /"status":413/)
  })

  it('a client that waits for the answer before it sends on has it at once', async () => {
    const { port } = await serving()
    const socket = connect(port, '127.0.0.1')
    socket.write(HEAD)
    let answer = ''
    for await (const chunk of socket.setEncoding('latin1')) {
      answer += chunk
      if (answer.endsWith('}')) break
    }
    assert.match(answer, /^HTTP\/1\.1 413 .*"status":413/s)
    socket.destroy()
  })

  it('curl sees the 413', async () => {
    const { port } = await serving()
    const child = promisify(execFile)('curl', [
      ...['-s', '-m', '20', '-X', 'POST', '-H', 'Connection: close', '-H', 'Expect:', '--limit-rate', '400k'],
      ...[
        '--data-binary',
        '@-',
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
        `http://127.0.0.1:${port}/s3/multipart`,
      ],
    ])
    child.child.stdin?.on('error', () => {})
    child.child.stdin?.end(Buffer.alloc(1_000_000, 'x'))
    assert.equal((await child).stdout, '413')
  })

  it('a client that never stops to send is left', async () => {
    const { port, requests } = await serving()
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(HEAD.replace('1000000', '9'.repeat(12)))
    const piece = Buffer.alloc(1024 * 1024)
    const sending = setInterval(() => socket.writableNeedDrain || socket.write(piece), 1)
    await new Promise((resolve) => socket.resume().once('close', resolve))
    clearInterval(sending)
    assert.equal(requests[0]?.destroyed, true)
  })
})
