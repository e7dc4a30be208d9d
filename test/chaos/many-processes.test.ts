import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { bundle, removeBundles } from '../integration/child/bundle.js'
import { newFolder, temporaryFilesIn } from '../integration/child/folders.js'
import type { StorageChoice } from '../integration/child/programs.js'
import { startServer } from '../integration/child/server.js'
import { list, read, storageOf, type WorkerJob } from './child/worker.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'
import { judge, type Operation } from './history.js'

const PROCESSES = 8
const MS = { quick: 5_000, long: 60_000, soak: 60_000 }[FORM]

let program: string
beforeAll(async () => {
  program = await bundle(new URL('./child/worker.ts', import.meta.url))
})
afterAll(removeBundles)

async function work(job: WorkerJob): Promise<Operation[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [program, JSON.stringify(job)], {
    maxBuffer: 1024 ** 3,
  })
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n'))) // The seed is told before.
}

/** A described version with the type of its extension. */
const BARE = /Error: [^"]*: d\d+\w with the type (?:text\/plain|application\/octet-stream)/

/** Lets the processes at it, looks at all that is left, and judges everything together. */
async function expectConsistent(storage: StorageChoice, where: string, onCeph = false): Promise<void> {
  const jobs = Array.from({ length: PROCESSES }, (_, index) => ({
    storage,
    who: String.fromCharCode(97 + index),
    seed: SEED + index,
    ms: MS,
  }))
  const operations = (await Promise.all(jobs.map(work))).flat()
  const target = storageOf(storage)
  const last = await list(target, '')
  operations.push(last)
  if (last.do !== 'list') throw new Error(JSON.stringify(last))
  const finals = await Promise.all(last.files.map(([name]) => read(target, name)))
  const bareBefore = judge(operations, onCeph).filter((fault) => BARE.test(fault)).length
  operations.push(...finals)
  const all = judge(operations, onCeph)
  // Not for good.
  expect(finals.filter((each) => each.do === 'fail')).toEqual([])
  expect(all.filter((fault) => BARE.test(fault)).length).toBe(bareBefore)
  // Known, and told in the figure: while a file is moved to and fro by several processes at once, reads may find it
  // without its metadata for a moment, for its sidecar is placed and removed apart from it.
  const bare = all.filter((fault) => storage.kind === 'filesystem' && BARE.test(fault)).length
  expect(bare).toBeLessThan(1 + operations.length / 1_000)
  const faults = all.filter((fault) => storage.kind !== 'filesystem' || !BARE.test(fault))
  expect(faults.slice(0, 10), `${faults.length} faults`).toEqual([])
  const made = operations.filter((each) => 'got' in each && typeof each.got === 'string').length
  const reads = operations.filter((each) => each.do === 'read' || each.do === 'exists').length
  const busy = operations.filter((each) => each.do === 'busy').length
  expect(busy).toBeLessThan(operations.length / 10)
  expect(made).toBeGreaterThan(PROCESSES * 2)
  report({
    trial: `${PROCESSES} processes on the same few names of ${where}, every answer checked against all histories that could be`,
    tried: `${operations.length} operations, ${made} files made, ${reads} reads`,
    outcome: `${faults.length} lost, overwritten, mixed or stale; ${bare} reads without metadata; ${busy} copies asked to try again`,
  })
}

it('is consistent on the filesystem', async () => {
  const location = await newFolder()
  await expectConsistent({ kind: 'filesystem', location, fsync: false }, 'the filesystem')
  expect(await temporaryFilesIn(location)).toEqual([])
})

it.each([true, false])('is consistent on R2, fastPath %s', async (fastPath) => {
  await using server = await startServer({})
  const where = `a strict R2 server, fast path ${fastPath ? 'on' : 'off'}`
  await expectConsistent({ kind: 'r2', ...server.keys, bucket: 'test-bucket', fastPath }, where)
})

const ceph = inject('ceph')
describe.skipIf(ceph === null)('on Ceph', () => {
  it.each([true, false])('is consistent, fastPath %s', async (fastPath) => {
    if (ceph === null) return
    const { endpoint, ...credentials } = ceph
    const bucket = `many-processes-${Date.now()}`
    const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    client.destroy()
    await expectConsistent(
      { kind: 's3', ...ceph, bucket, fastPath },
      `Ceph, fast path ${fastPath ? 'on' : 'off'}`,
      true,
    )
  })
})

/** Times in short: `[1, 2]` is from 1 to 2. */
type Span = readonly [number, number]
const at = ([start, end]: Span) => ({ start, end })
const save = (span: Span, name: string, version: string, createOnly = false, got = name): Operation => ({
  do: 'save',
  ...at(span),
  name,
  version,
  createOnly,
  got,
})
const seen = (span: Span, name: string, version: string | null): Operation => ({
  do: 'read',
  ...at(span),
  name,
  version,
})
const remove = (span: Span, name: string): Operation => ({ do: 'delete', ...at(span), name })
const transfer = (call: 'copy' | 'move', span: Span, from: string, name: string): Operation => ({
  do: call,
  ...at(span),
  from,
  name,
  createOnly: false,
  got: name,
})
const listed = (span: Span, ...files: [string, number][]): Operation => ({
  do: 'list',
  ...at(span),
  name: '',
  files,
})

/** `p0` has 3 bytes: `p0` and a line break. */
describe('the judge', () => {
  it.each<[string, Operation[]]>([
    [
      'a read before, during and after an overwrite',
      [
        save([1, 2], 'a', 'p0'),
        save([5, 8], 'a', 'p6'),
        seen([3, 4], 'a', 'p0'),
        seen([6, 7], 'a', 'p0'),
        seen([6, 7], 'a', 'p6'),
        seen([9, 10], 'a', 'p6'),
      ],
    ],
    [
      'either of two overwrites at the same time',
      [save([1, 4], 'a', 'p0'), save([2, 3], 'a', 'p6'), seen([5, 6], 'a', 'p0')],
    ],
    [
      'nothing while a delete runs, or a move',
      [
        save([1, 2], 'a', 'p0'),
        remove([3, 6], 'a'),
        seen([4, 5], 'a', null),
        save([7, 8], 'a', 'p6'),
        transfer('move', [9, 12], 'a', 'b'),
        seen([10, 11], 'a', null),
        seen([13, 14], 'b', 'p6'),
      ],
    ],
    [
      'a name made again after a delete',
      [save([1, 2], 'a', 'p0', true), remove([3, 4], 'a'), save([5, 6], 'a', 'p6', true)],
    ],
    [
      'a copy of what was there, through two names',
      [
        save([1, 2], 'a', 'p0'),
        transfer('copy', [3, 4], 'a', 'b'),
        transfer('copy', [5, 6], 'b', 'c'),
        save([7, 8], 'a', 'p6'),
        seen([9, 10], 'c', 'p0'),
        listed([9, 10], ['a', 3], ['b', 3], ['c', 3]),
      ],
    ],
  ])('grants %s', (_, operations) => {
    expect(judge(operations)).toEqual([])
  })

  it('grants on Ceph what its listings may lose', () => {
    const kept = [
      save([1, 2], 'f/a', 'p0'),
      { do: 'deletePrefix', ...at([3, 4]), name: 'f' } as const,
      seen([5, 6], 'f/a', 'p0'),
    ]
    const unlisted = [save([1, 2], 'a', 'p0'), listed([3, 4])]
    expect([judge(kept, true), judge(unlisted, true)]).toEqual([[], []])
    const replaced = [save([1, 2], 'a', 'p0'), save([3, 4], 'a', 'p6'), seen([5, 6], 'a', 'p0')]
    expect(judge(replaced, true)).not.toEqual([])
  })

  it.each<[string, Operation[]]>([
    ['a version that never was', [save([1, 2], 'a', 'p0'), seen([3, 4], 'a', 'p6')]],
    [
      'a version from another name',
      [save([1, 2], 'a', 'p0'), save([1, 2], 'b', 'p6'), seen([3, 4], 'b', 'p0')],
    ],
    ['a version before it was saved', [seen([1, 2], 'a', 'p0'), save([3, 4], 'a', 'p0')]],
    [
      'a version that was replaced',
      [save([1, 2], 'a', 'p0'), save([3, 4], 'a', 'p6'), seen([5, 6], 'a', 'p0')],
    ],
    ['a version that was deleted', [save([1, 2], 'a', 'p0'), remove([3, 4], 'a'), seen([5, 6], 'a', 'p0')]],
    [
      'a version that was deleted with its folder',
      [
        save([1, 2], 'f/a', 'p0'),
        { do: 'deletePrefix', ...at([3, 4]), name: 'f' },
        seen([5, 6], 'f/a', 'p0'),
      ],
    ],
    [
      'a version that was moved away',
      [save([1, 2], 'a', 'p0'), transfer('move', [3, 4], 'a', 'b'), seen([5, 6], 'a', 'p0')],
    ],
    ['a lost file', [save([1, 2], 'a', 'p0'), seen([3, 4], 'a', null)]],
    [
      'a lost file that was deleted only later, or before',
      [remove([1, 2], 'a'), save([3, 4], 'a', 'p0'), seen([5, 6], 'a', null), remove([7, 8], 'a')],
    ],
    [
      'a file that is gone with a folder of nearly its name',
      [
        save([1, 2], 'fa/a', 'p0'),
        { do: 'deletePrefix', ...at([3, 4]), name: 'f' },
        seen([5, 6], 'fa/a', null),
      ],
    ],
    [
      'a file gone for stat',
      [save([1, 2], 'a', 'p0'), { do: 'exists', ...at([3, 4]), name: 'a', there: false }],
    ],
    ['a file there for stat that never was', [{ do: 'exists', ...at([3, 4]), name: 'a', there: true }]],
    ['two winners at the same time', [save([1, 4], 'a', 'p0', true), save([2, 3], 'a', 'p6', true)]],
    ['two winners one after the other', [save([1, 2], 'a', 'p0', true), save([3, 4], 'a', 'p6', true)]],
    ['a winner where a file was', [save([1, 2], 'a', 'p0'), save([3, 4], 'a', 'p6', true)]],
    ['another name though this one was free', [save([1, 2], 'a', 'p0', true, 'a_1234567')]],
    [
      'a refusal though the name was free',
      [
        {
          do: 'save',
          ...at([1, 2]),
          name: 'a',
          version: 'p0',
          createOnly: true,
          got: { refused: 'AlreadyExists' },
        },
      ],
    ],
    ['a copy of nothing', [transfer('copy', [1, 2], 'a', 'b')]],
    [
      'a copy of what was replaced',
      [
        save([1, 2], 'a', 'p0'),
        save([3, 4], 'a', 'p6'),
        transfer('copy', [5, 6], 'a', 'b'),
        seen([7, 8], 'b', 'p0'),
      ],
    ],
    ['a list of what never was', [save([1, 2], 'a', 'p0'), listed([3, 4], ['a', 3], ['b', 3])]],
    ['a list of another size', [save([1, 2], 'a', 'p0'), listed([3, 4], ['a', 4])]],
    ['a list without what was there', [save([1, 2], 'a', 'p0'), listed([3, 4])]],
    [
      'a list out of order',
      [save([1, 2], 'a', 'p0'), save([1, 2], 'b', 'p0'), listed([3, 4], ['b', 3], ['a', 3])],
    ],
    ['a list with a name twice', [save([1, 2], 'a', 'p0'), listed([3, 4], ['a', 3], ['a', 3])]],
    ['an error', [{ do: 'fail', ...at([1, 2]), name: 'a', reason: 'Unavailable' }]],
  ])('refuses %s', (_, operations) => {
    expect(judge(operations)).not.toEqual([])
  })
})
