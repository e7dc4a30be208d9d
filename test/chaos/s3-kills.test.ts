import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { isStorageError, S3Storage } from 'stowage'
import { describe, expect, inject, it } from 'vitest'
import { startChild } from '../integration/child/child.js'
import { killedContent } from '../integration/child/programs.js'
import { startServer } from '../integration/child/server.js'
import { report } from './figures.js'
import { FORM, randomFrom, SEED } from './form.js'

/** On each server; some at the same time, since most of the time goes into starting the processes. */
const KILLS = FORM === 'quick' ? 6 : 60
const AT_A_TIME = 3

const ceph = inject('ceph')
const servers = ceph ? ['the strict R2 stand-in', 'Ceph'] : ['the strict R2 stand-in']
const cases = servers.flatMap((name) => [true, false].map((fastPath) => [name, fastPath] as const))

describe.each(cases)('a process that is killed while it writes to %s, fastPath %s', (name, fastPath) => {
  it('leaves no half object, and all that it was told is there', { timeout: 60 * 60_000 }, async () => {
    await using server = ceph && name === 'Ceph' ? undefined : await startServer({})
    const keys = server?.keys ?? ceph
    if (!keys) throw new Error('no server')
    const { endpoint, ...credentials } = keys
    const client = new S3Client({ region: 'us-east-1', endpoint, credentials, forcePathStyle: true })
    const bucket = server ? 'test-bucket' : `kills-${Date.now()}`
    if (!server) await client.send(new CreateBucketCommand({ Bucket: bucket }))
    const options = {
      ...keys,
      bucket,
      fastPath,
      partSize: 5 * 1024 * 1024,
      ...(server && { conditionalCompletion: true }),
    }
    const storage = new S3Storage(options)
    const folder = await mkdtemp(join(tmpdir(), 'stowage-kills-'))
    const random = randomFrom(SEED)
    const wrong: string[] = []
    let told = 0
    let objects = 0
    let placeholders = 0
    const kill = async (run: number) => {
      const log = join(folder, `${run}`)
      const argument = { storage: { kind: 's3' as const, ...options }, folder: `${run}`, log }
      const child = await startChild('writeOnAndOn', argument)
      child.go()
      // Not before its first word: what is to be hit is the writing, not the start.
      while (child.process.exitCode === null && !(await readFile(log, 'utf8').catch(() => ''))) await sleep(5)
      await sleep(random() * 600)
      child.process.kill('SIGKILL')
      if (child.process.signalCode === null && child.process.exitCode === null)
        await once(child.process, 'close')
      if (child.process.signalCode !== 'SIGKILL')
        wrong.push(`${run} ended by itself: ${await child.result.catch(String)}`)
      // What was on its way is done by then, or never.
      await sleep(200)
      const acknowledged = (await readFile(log, 'utf8')).split('\n').slice(0, -1)
      told += acknowledged.length
      const there = new Set<string>()
      for await (const { name } of storage.list(`${run}`)) {
        there.add(name)
        const bytes = await storage.open(name).then((file) => file.bytes(), placeholder)
        if (bytes === undefined) {
          placeholders += 1
          there.delete(name)
          continue
        }
        const own = name.slice(name.lastIndexOf('/') + 1)
        const numbers = /^\d+$/.test(own) ? [Number(own)] : own === 'overwritten' ? numbersOf(bytes) : [0]
        if (!numbers.some((number) => killedContent(number).equals(bytes))) wrong.push(`${name} is not whole`)
      }
      objects += there.size
      for (const name of acknowledged) if (!there.has(name)) wrong.push(`${name} is not there`)
      await storage.deletePrefix(`${run}`)
    }
    let next = 0
    const worker = async () => {
      while (next < KILLS) await kill(next++)
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    await sleep(2_500) // The times of uploads are whole seconds.
    const { aborted } = await storage.abortStaleUploads({ olderThan: 1 })
    const { Uploads: unswept = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    client.destroy()
    await rm(folder, { recursive: true })
    report({
      trial: `kill -9 in the midst of writes to ${name}, fast path ${fastPath ? 'on' : 'off'}`,
      tried: `${KILLS} kills, ${told} acknowledged saves`,
      outcome: `${wrong.length} lost or mixed of ${objects} objects; ${Uploads.length} multipart uploads left, all found and swept; ${placeholders} placeholders left`,
    })
    expect(wrong).toEqual([])
    expect([aborted, unswept]).toEqual([Uploads.length, []])
    expect(told).toBeGreaterThan(KILLS)
    // All that a crash may leave behind, and only for names that nobody was told: uploads go by the bucket's lifecycle
    // rule; placeholders are there only where the server heeds no condition on a copy or a completion, as Ceph.
    if (server) expect(placeholders).toBe(0)
    expect(placeholders).toBeLessThanOrEqual(KILLS * 3)
    expect(Uploads.length).toBeLessThanOrEqual(KILLS * 3)
  })
})

/** What holds a name on Ceph is listed, but is no file to be opened. */
function placeholder(error: unknown): undefined {
  if (isStorageError(error) && error.code === 'NotFound') return undefined
  throw error
}

/** The number that a content is of, by its beginning. */
function numbersOf(bytes: Buffer): number[] {
  const number = Number(/^\d+/.exec(bytes.toString('latin1', 0, 20))?.[0])
  return Number.isNaN(number) ? [] : [number]
}
