// The S3 servers of the trials: the strict stand-in for R2, new for each trial, and one Ceph for all.
import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { newClient } from './contestants/sdk-client.mjs'
import { stowageTesting } from './stowage.mjs'

/** `{ server: { kind, options }, stop }`; the options are those of an S3 storage. */
export async function startR2() {
  const { startLocalR2 } = await stowageTesting()
  const { endpoint, accessKeyId, secretAccessKey, bucket, close } = await startLocalR2()
  return { server: { kind: 'r2', options: { endpoint, accessKeyId, secretAccessKey, bucket } }, stop: close }
}

/**
 * The server of the benchmarks: it keeps no large bodies. Unlike the stand-in for R2 it answers `Expect: 100-continue`,
 * which the AWS SDK waits 6 s for with each part.
 */
export async function startPlain() {
  const child = fork(fileURLToPath(new URL('../server.mjs', import.meta.url)))
  const [{ endpoint }] = await once(child, 'message')
  const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }
  const stop = async () => child.disconnect()
  return {
    server: { kind: 'plain', options: { endpoint, region: 'us-east-1', bucket: 'bench', ...keys } },
    stop,
  }
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Undefined where Ceph is not installed, or `STOWAGE_CEPH=off`. */
export async function startCeph() {
  if (process.env.STOWAGE_CEPH === 'off') return undefined
  const child = spawn(process.execPath, ['--import', 'tsx', 'test/servers/ceph.ts'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [])])
  if (line === undefined) return undefined
  const { endpoint, accessKeyId, secretAccessKey } = JSON.parse(line)
  const stop = async () => {
    const exit = once(child, 'exit')
    child.kill('SIGINT')
    await exit
  }
  const newServer = async (bucket) => {
    const options = { endpoint, region: 'us-east-1', accessKeyId, secretAccessKey, bucket }
    const server = { kind: 'ceph', options }
    await newClient(server).send(new CreateBucketCommand({ Bucket: bucket }))
    return { server, stop: async () => {} }
  }
  return { newServer, stop }
}
