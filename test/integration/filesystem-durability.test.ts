import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileSystemStorage } from 'stowage'
import { afterEach, expect, it, vi } from 'vitest'
import { inChild, startChild } from './child/child.js'
import { filesIn, newFolder, sidecarsIn, temporaryFilesIn } from './child/folders.js'

afterEach(() => vi.restoreAllMocks())

it('has file, sidecar and every new folder on the disk before it acknowledges', async () => {
  const parent = await newFolder()
  const root = join(parent, 'new', 'root')
  const { save, overwrite, move, remove } = await inChild('recordCalls', { location: root, fsync: true })
  const linked = save.findIndex((call) => call.startsWith('link '))
  const [, temp = '', target] = save[linked]?.split(' ') ?? []
  expect(target).toBe(join(root, 'a/b/x.txt'))
  expect(save.slice(0, linked)).toContain(`fsync ${temp}`)
  expect(save.slice(linked)).toContain(`fsync ${join(root, 'a/b')}`)
  // A folder exists for good once the folder that it is in was synchronised after it was made.
  for (const folder of [join(parent, 'new'), root, join(root, 'a'), join(root, 'a/b')]) {
    const madeAt = save.indexOf(`mkdir ${folder}`)
    expect(madeAt).toBeGreaterThanOrEqual(0)
    expect(save.slice(madeAt)).toContain(`fsync ${join(folder, '..')}`)
  }

  // The sidecar first: no version is seen before its own is whole and on the disk.
  const renamed = overwrite.findIndex((call) => call.startsWith('rename '))
  const [, draft = ''] = overwrite[renamed]?.split(' ') ?? []
  const before = overwrite.slice(0, renamed)
  const sidecar = before.at(-2)?.slice('fsync '.length) ?? ''
  expect(sidecar.startsWith(join(root, '.stowage/meta'))).toBe(true)
  expect(before).toContain(`fsync ${draft}`)
  expect(before.slice(-2)).toEqual([`fsync ${sidecar}`, `fsync ${dirname(sidecar)}`])
  // The alias serves backups only: it comes after the file has its name, and nobody waits until it is on the disk.
  const after = overwrite.slice(renamed)
  const alias = after.find((call) => call.startsWith(`link ${sidecar} `))?.split(' ')[2] ?? ''
  expect(alias.startsWith(dirname(sidecar))).toBe(true)
  expect(after.filter((call) => !call.endsWith(alias))).toEqual([
    expect.stringMatching(/^rename/),
    `fsync ${join(root, 'a/b')}`,
  ])

  // What is moved may have been saved without `fsync`.
  const [, , pinned = ''] = move.find((call) => call.startsWith('link '))?.split(' ') ?? []
  expect(move.indexOf(`fsync ${pinned}`)).toBeLessThan(
    move.indexOf(`link ${pinned} ${join(root, 'c/y.txt')}`),
  )
  expect(move).toContain(`fsync ${pinned}`)
  expect(move).toContain(`fsync ${join(root, 'c')}`)
  // a and a/b went with their last file. Sidecars go last: a power cut brings no file back without its metadata.
  expect(move.slice(-3, -2)).toEqual([`fsync ${root}`])
  expect(move.slice(-2).sort()).toEqual([`unlink ${alias}`, `unlink ${sidecar}`])
  const unlinkSidecar = expect.stringContaining(`unlink ${join(root, '.stowage/meta')}`)
  expect(remove).toEqual([`unlink ${join(root, 'c/y.txt')}`, `fsync ${root}`, unlinkSidecar, unlinkSidecar])
})

it('acknowledges no file in a folder that another save has made, but is not on the disk yet', async () => {
  const location = await newFolder()
  const log = await inChild('saveInFolderJustMade', { location })
  expect(log).toContain(`fsync ${location}`)
  expect(log.indexOf('acknowledged')).toBeGreaterThan(log.indexOf(`fsync ${location}`))
})

it('synchronises nothing with fsync: false', async () => {
  const calls = await inChild('recordCalls', { location: join(await newFolder(), 'root'), fsync: false })
  for (const each of Object.values(calls)) expect(each.filter((call) => call.startsWith('fsync'))).toEqual([])
})

it('shows no half file when the process is killed in the middle of saves, and goes on from there', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root })
  for (let round = 0; round < 3; round++) {
    const child = await startChild('saveOnAndOn', {
      storage: { kind: 'filesystem', location: root, fsync: false },
    })
    child.go()
    const enough = round * 10 + 5
    for (let waits = 0; waits < 1000; waits++) {
      if ((await readdir(join(root, 'new')).catch(() => [])).length >= enough) break
      await sleep(5)
    }
    child.process.kill('SIGKILL')
    await expect(child.result).rejects.toThrow('SIGKILL')
    const names: string[] = []
    for await (const { name } of storage.list()) names.push(name)
    expect(names.length).toBeGreaterThan(round)
    for (const name of names) {
      const file = await storage.open(name)
      const bytes = await file.bytes()
      expect(bytes.length).toBe(3_000_003)
      expect(Buffer.from(bytes.subarray(-3)).toString()).toBe('end')
      if (name !== 'replaced.txt') {
        const stem = name.slice('new/'.length).replace(/(_\w{7})?\.txt$/, '')
        expect(file.metadata).toEqual({ index: stem })
      }
    }
  }
  await storage.save('after.txt', 'works')
})

const DAY = 24 * 60 * 60 * 1000
const later = (ms: number) => {
  const now = Date.now
  vi.spyOn(Date, 'now').mockImplementation(() => now() + ms)
}

it('sweeps what crashes left behind after a day, and nothing that is younger or in use', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root })
  await storage.save('in use.txt', 'x', { metadata: { by: 'me' } })
  await storage.save('orphan.txt', 'x', { metadata: { by: 'me' } })
  const child = await startChild('saveOnAndOn', { storage: { kind: 'filesystem', location: root } })
  child.go()
  while ((await temporaryFilesIn(root)).length === 0) await sleep(2)
  child.process.kill('SIGKILL')
  await expect(child.result).rejects.toThrow('SIGKILL')
  await writeFile(join(root, 'orphan.txt'), 'by another program')
  // Half written by a crash.
  await mkdir(join(root, '.stowage/meta/00'), { recursive: true })
  await writeFile(join(root, '.stowage/meta/00/half'), '{"na')
  const left = await temporaryFilesIn(root)
  const sidecars = await sidecarsIn(root)

  // Of several processes only one sweeps on a day: this is what they tell each other by.
  const swept = join(root, '.stowage/swept')
  await rm(swept)
  later(DAY - 60_000)
  await new FileSystemStorage({ location: root }).save('younger.txt', 'x')
  await sleep(300)
  expect(await temporaryFilesIn(root)).toEqual(left)
  expect(await sidecarsIn(root)).toEqual(sidecars)

  vi.restoreAllMocks()
  await rm(swept)
  later(DAY + 60_000)
  const sweeping = new FileSystemStorage({ location: root })
  // By this clock the file that it is just writing is a day old as well, so it may be swept.
  await sweeping.save('older.txt', 'x').catch(() => {})
  for (let waits = 0; waits < 200 && (await temporaryFilesIn(root)).length > 0; waits++) await sleep(10)
  for (let waits = 0; waits < 200 && (await sidecarsIn(root)).length === sidecars.length; waits++)
    await sleep(10)
  await sleep(100)
  expect(await temporaryFilesIn(root)).toEqual([])
  expect((await sidecarsIn(root)).length).toBeLessThan(sidecars.length)
  expect((await sweeping.stat('in use.txt')).metadata).toEqual({ by: 'me' })
  const files = (await filesIn(root)).filter((path) => !path.startsWith('.stowage'))
  expect(files).toEqual(expect.arrayContaining(['in use.txt', 'younger.txt']))
})

it('keeps the metadata of a file that is away for some days, and drops it when it is gone for a month', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root, fsync: false })
  await storage.save('mount/x.txt', 'x', { metadata: { by: 'me' } })
  const sidecar = join(root, (await sidecarsIn(root))[0] ?? '')
  /** A sweep so many days from now. */
  const sweepOn = async (day: number, done: () => Promise<boolean>) => {
    vi.restoreAllMocks()
    await rm(join(root, '.stowage/swept'), { force: true })
    later(day * DAY)
    await new FileSystemStorage({ location: root, fsync: false }).save(`${day}.txt`, 'x')
    await vi.waitFor(async () => expect(await done()).toBe(true))
    // A sweep that goes on into the next one's time would take its temporary file for an old one.
    await vi.waitFor(() => stat(join(root, '.stowage/swept')))
    await sleep(50)
  }
  const isExpiring = async () => {
    const { mtimeMs, ctimeMs } = await stat(sidecar)
    return mtimeMs > ctimeMs + DAY
  }
  await rename(join(root, 'mount'), join(root, '..', `${basename(root)}-away`))
  await sweepOn(2, isExpiring)
  await sweepOn(4, isExpiring)
  await rename(join(root, '..', `${basename(root)}-away`), join(root, 'mount'))
  expect((await storage.stat('mount/x.txt')).metadata).toEqual({ by: 'me' })
  // The sidecar gets the time of the sweep: its own once more. Its change time is today's, which no test can move.
  await sweepOn(40, async () => Math.abs((await stat(sidecar)).mtimeMs - Date.now()) < DAY)
  await utimes(sidecar, new Date(), new Date())
  await rm(join(root, 'mount'), { recursive: true })
  await sweepOn(41, isExpiring)
  await sweepOn(72, async () => (await sidecarsIn(root)).length === 0)
})
