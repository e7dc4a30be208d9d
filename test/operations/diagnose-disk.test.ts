/** Each thing that may be wrong with a disk: provoked, and found. */
import assert from 'node:assert/strict'
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CheckResult, FileSystemStorage, MemoryStorage, readOnly, readThrough } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { mountSmall, remount, unmountAll, whyNoMounts } from '../chaos/mounts.js'
import { inChild } from '../integration/child/child.js'
import { filesIn, newFolder } from '../integration/child/folders.js'
import { checksOf, diagnosed, expectFit, expectHealthy, problemIn } from './diagnosed.js'

/** Enough for the files of a diagnosis and for no warning. */
const ROOMY = 'size=256m,nr_inodes=1000'

interface Expected {
  readonly check: string
  readonly status?: 'failed' | 'warning'
  readonly message: RegExp
  readonly remedy: RegExp
}

function expectProblem(results: readonly CheckResult[], expected: Expected): void {
  const problem = problemIn(results)
  const { check, status = 'failed', message, remedy } = expected
  assert.deepEqual([problem.check, problem.status], [check, status], problem.message)
  assert.match(problem.message, message)
  assert.match(problem.remedy ?? '', remedy)
  const after = results.slice(results.indexOf(problem) + 1)
  if (status === 'failed') assert.ok(after.every((result) => result.status === 'skipped'))
  else assert.ok(checksOf(results, 'ok').includes('write'))
}

const cannotMount = await whyNoMounts()
if (cannotMount !== undefined) console.log(`Nothing can be mounted, so disks are not tested: ${cannotMount}`)

describe.skipIf(cannotMount !== undefined)('a mount', () => {
  afterEach(unmountAll)

  it('that is read-only', async () => {
    const location = await mountSmall(ROOMY)
    await writeFile(join(location, 'kept.txt'), 'x')
    await remount(location, 'ro')
    const results = await diagnosed(new FileSystemStorage({ location }))
    expectProblem(results, {
      check: 'writable',
      message: /mounted read-only/,
      remedy: /Mount it for writing/,
    })
    expectHealthy(await diagnosed(readOnly(new FileSystemStorage({ location }))))
  })

  it('that is full', async () => {
    const location = await mountSmall('size=1m')
    const storage = new FileSystemStorage({ location })
    await storage.save('small.txt', 'x')
    await writeFile(join(location, 'large.bin'), Buffer.alloc(1_000_000)).catch(() => {})
    await writeFile(join(location, 'rest.bin'), Buffer.alloc(100_000)).catch(() => {})
    const before = await filesIn(location)
    expectProblem(await diagnosed(storage), {
      check: 'space',
      message: /The disk is full/,
      remedy: /Free some space/,
    })
    assert.deepEqual(await filesIn(location), before)
  })

  it('without inodes', async () => {
    const location = await mountSmall('size=256m,nr_inodes=8')
    for (let file = 0; file < 8; file++) await writeFile(join(location, `${file}`), '').catch(() => {})
    const results = await diagnosed(new FileSystemStorage({ location }))
    expectProblem(results, { check: 'space', message: /no inodes left/, remedy: /inodes/ })
  })

  it('that is nearly full', async () => {
    const location = await mountSmall('size=8m')
    const results = await diagnosed(new FileSystemStorage({ location }))
    expectProblem(results, {
      check: 'space',
      status: 'warning',
      message: /nearly full: \d MiB/,
      remedy: /Free/,
    })
  })

  it('that runs no programs is fine', async () => {
    const location = await mountSmall(ROOMY)
    await remount(location, 'noexec,nosuid,nodev')
    const results = await diagnosed(new FileSystemStorage({ location }))
    expectHealthy(results)
    const left = (await filesIn(location)).filter((path) => path !== '.stowage/swept')
    assert.deepEqual(left, [])
  })
})

describe('a disk', () => {
  const diagnosedInChild = async (
    lacks: Parameters<typeof inChild<'diagnoseDisk'>>[1]['lacks'],
    location: string,
  ) => {
    const results = await inChild('diagnoseDisk', { location, lacks })
    expectFit(results)
    // Without hard links the aliases of sidecars are left to the sweep.
    const left = (await filesIn(location)).filter((path) => !/^\.stowage\/(?:swept|meta\/)/.test(path))
    assert.deepEqual(left, [])
    return results
  }

  it('that lacks nothing', async () => {
    expectHealthy(await diagnosedInChild('nothing', await newFolder()))
  })

  it('without hard links', async () => {
    const results = await diagnosedInChild('hard links', await newFolder())
    const message = /no hard links: a lock file/
    expectProblem(results, { check: 'hard-links', status: 'warning', message, remedy: /ext4/ })
  })

  it('without chmod', async () => {
    const results = await diagnosedInChild('modes', await newFolder())
    const message = /does not allow chmod: the storage folder refuses the mode 0o644/
    expectProblem(results, {
      check: 'modes',
      message,
      remedy: /Set the option fileMode to 0o600, or to null/,
    })
  })

  it('without fsync', async () => {
    const results = await diagnosedInChild('fsync', await newFolder())
    expectProblem(results, { check: 'fsync', message: /fsync.*EINVAL/, remedy: /fsync: false/ })
  })

  it.skipIf(process.getuid?.() !== 0)('whose folder is of another user', async () => {
    const location = await newFolder()
    await chmod(location, 0o555)
    const results = await diagnosedInChild('rights', location)
    const message = /The process \(user \d+\) may not write to the folder/
    expectProblem(results, { check: 'writable', message, remedy: /chown/ })
    await chmod(location, 0o700)
    const unseen = await inChild('diagnoseDisk', { location, lacks: 'rights' })
    expectProblem(unseen, { check: 'root', message: /may not look into the folder/, remedy: /right to read/ })
    await chmod(location, 0o755)
  })
})

describe('a folder', () => {
  it('that is a file', async () => {
    const location = join(await newFolder(), 'file')
    await writeFile(location, 'x')
    for (const path of [location, join(location, 'below')]) {
      const results = await diagnosed(new FileSystemStorage({ location: path }))
      expectProblem(results, { check: 'root', message: /file is not a folder/, remedy: /MEDIA_ROOT/ })
    }
  })

  it('that is a link to nowhere', async () => {
    const location = join(await newFolder(), 'link')
    await symlink('/nowhere/at/all', location)
    const results = await diagnosed(new FileSystemStorage({ location }))
    expectProblem(results, { check: 'root', message: /a link that leads nowhere/, remedy: /remove the link/ })
  })

  it('that is not there, and is only read', async () => {
    const location = join(await newFolder(), 'old')
    const older = new FileSystemStorage({ location })
    const expected = {
      status: 'warning',
      message: /is not there, so there is nothing to read/,
      remedy: /mounted/,
    } as const
    const results = await diagnosed(readThrough(new MemoryStorage(), older))
    expectProblem(results, { check: 'older-root', ...expected })
    const problem = problemIn(await diagnosed(readOnly(older)))
    assert.equal(problem.check, 'root')
    await mkdir(location)
    expectHealthy(await diagnosed(readOnly(older)))
    await rm(location, { recursive: true })
  })
})
