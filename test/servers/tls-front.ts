import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { promisify } from 'node:util'

/** TLS with a certificate of its own in front of a server that speaks HTTP on 127.0.0.1. Needs `openssl`. */
export async function startTlsFront(
  host: string,
  upstream: string,
): Promise<AsyncDisposable & { endpoint: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-tls-'))
  const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', `/CN=${host}`, '-addext', `subjectAltName=DNS:${host}`]
  const flags = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', ['req', ...flags, ...subject, '-keyout', keyFile, '-out', certFile])
  const [key, cert] = await Promise.all([readFile(keyFile), readFile(certFile)])
  await rm(folder, { recursive: true })
  const { port } = new URL(upstream)
  const server = createServer({ key, cert }, (socket) => {
    const plain = connect({ host: '127.0.0.1', port: Number(port) })
    socket.once('error', () => plain.destroy())
    plain.once('error', () => socket.destroy())
    socket.pipe(plain).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `https://${host}:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}
