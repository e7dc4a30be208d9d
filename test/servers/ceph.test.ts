import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { describe, expect, inject, test } from 'vitest'
import { type CephKeys, isRunning, startCeph } from './ceph.js'

function clientFor({ endpoint, ...credentials }: CephKeys): S3Client {
  return new S3Client({
    endpoint,
    credentials,
    region: 'us-east-1',
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

async function roundTrip(keys: CephKeys): Promise<string | undefined> {
  const client = clientFor(keys)
  const object = { Bucket: 'ceph-answers', Key: 'greeting.txt' }
  await client.send(new CreateBucketCommand({ Bucket: object.Bucket }))
  await client.send(new PutObjectCommand({ ...object, Body: 'hello' }))
  const { Body } = await client.send(new GetObjectCommand(object))
  return Body?.transformToString()
}

/** The local addresses, as the kernel writes them in hexadecimal, that a process listens on. */
function listeningAddresses(pid: number): string[] {
  const sockets = new Set<string>()
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkTarget(`/proc/${pid}/fd/${descriptor}`))?.[1]
    if (inode !== undefined) sockets.add(inode)
  }
  const rows = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n'))
  return rows.flatMap((row) => {
    const [, local, , state, , , , , , inode] = row.trim().split(/\s+/)
    const listens = state === '0A' && inode !== undefined && sockets.has(inode)
    return listens && local !== undefined ? [local.replace(/:.*/, '')] : []
  })
}

/** Where a link leads, or '' when it is gone: a process closes files while we look. */
function linkTarget(link: string): string {
  try {
    return readlinkSync(link)
  } catch {
    return ''
  }
}

function foldersOf(pid: number): string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith(`stowage-ceph-${pid}-`))
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

const ceph = inject('ceph')

describe.skipIf(ceph === null)('Ceph', () => {
  test('stores and returns an object', async () => {
    expect(ceph && (await roundTrip(ceph))).toBe('hello')
  })

  test('starts a second time beside the first, and leaves nothing behind when stopped', async () => {
    const second = await startCeph()
    expect(second.endpoint).not.toBe(ceph?.endpoint)
    expect(await roundTrip(second)).toBe('hello')
    expect(second.pids.length).toBeGreaterThan(0)
    expect(second.pids.filter(isRunning)).toEqual(second.pids)
    expect(foldersOf(process.pid)).toHaveLength(1)

    await second.stop()
    expect(second.pids.filter(isRunning)).toEqual([])
    expect(foldersOf(process.pid)).toEqual([])
    await expect(fetch(second.endpoint)).rejects.toThrow()
  })

  test('listens on the loopback address only', async () => {
    const { pids, stop } = await startCeph()
    const addresses = pids.map(listeningAddresses)
    await stop()
    for (const ofOne of addresses) expect([...new Set(ofOne)]).toEqual(['0100007F'])
  })

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'ends with the process that started it, by %s',
    async (signal) => {
      const script = fileURLToPath(new URL('ceph.ts', import.meta.url))
      const starter = spawn(process.execPath, ['--import', 'tsx', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [line] = await once(starter.stdout, 'data')
      const { pids } = JSON.parse(String(line)) as { pids: number[] }
      expect(pids.filter(isRunning)).toEqual(pids)

      starter.kill(signal)
      await once(starter, 'exit')
      await until(() => !pids.some(isRunning))

      // What a killed process could not remove, the next start removes.
      await (await startCeph()).stop()
      expect(foldersOf(starter.pid ?? 0)).toEqual([])
    },
  )
})
