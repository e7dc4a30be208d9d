import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let location: string
beforeEach(async () => {
  location = await mkdtemp(join(tmpdir(), 'stowage-portable-'))
})
afterEach(() => rm(location, { recursive: true }))

const portable = () => new FileSystemStorage({ location, fsync: false, portableNames: true })

async function namesIn(storage: FileSystemStorage): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list()) names.push(name)
  return names
}

async function putByHand(path: string, content = path): Promise<void> {
  await mkdir(dirname(join(location, path)), { recursive: true })
  await writeFile(join(location, path), content)
}

const ODD = ['COM1.log', 'a:b/c?', 'etc.', 'nul', 'x\uf03ay', '~1']

describe('portable names', () => {
  it('are on the disk as Windows takes them, and are listed, found and deleted as what they are', async () => {
    const storage = portable()
    for (const name of ODD) expect(await storage.save(name, name, { metadata: { name } })).toBe(name)
    const written = await readdir(location, { recursive: true })
    expect(written.filter((path) => /[<>:"|?*]|[. ]$|^(?:com1|nul)\b/i.test(path))).toEqual([])
    expect(await namesIn(storage)).toEqual(ODD)
    expect(storage.path('a:b/c?')).toBe(join(location, 'a\uf03ab', 'c\uf03f'))
    for (const name of ODD) expect((await storage.stat(name)).metadata).toEqual({ name })
    expect(await storage.deletePrefix('a:b')).toEqual({ deleted: 1 })
    for (const name of ODD) await storage.delete(name)
    expect(await readdir(location)).toEqual(['.stowage'])
  })

  it('are listed in the order of the names, not of the files', async () => {
    const names = ['a!', 'a"', 'a#', 'a*', 'a,', 'a?', 'aA', 'a\uf000', 'a\u{10000}', 'a\u{10ffff}']
    for (const name of names.toReversed()) await portable().save(name, '')
    expect(await namesIn(portable())).toEqual(names)
  })

  it('leave plain names as they are', async () => {
    const names = ['.env', 'Größe/日本語？.txt', 'a b.txt', 'report (1).pdf']
    for (const name of names) {
      await portable().save(name, name)
      expect(portable().path(name)).toBe(join(location, name))
    }
    expect(await namesIn(new FileSystemStorage({ location }))).toEqual(names)
  })

  it('find files whose names Windows refuses and which were there before', async () => {
    for (const path of ['a:b/what?', 'con', 'etc.', 'x\uf03ay', '\uf07f\uf03a']) await putByHand(path)
    const storage = portable()
    for (const name of await namesIn(storage)) {
      expect(await storage.exists(name)).toBe(true)
      expect(await (await storage.open(name)).text()).not.toBe('')
    }
    for (const name of ['a:b/what?', 'con', 'etc.']) {
      expect(await namesIn(storage)).toContain(name)
      expect(await (await storage.open(name)).text()).toBe(name)
      await expect(storage.save(name, 'another', { ifExists: 'error' })).rejects.toMatchObject({
        code: 'AlreadyExists',
      })
      expect(await storage.save(name, 'new', { ifExists: 'overwrite' })).toBe(name)
    }
    expect((await namesIn(storage)).length).toBe(5)
    for (const name of await namesIn(storage)) await storage.delete(name)
    expect(await readdir(location)).toEqual(['.stowage'])
  })

  it('are listed once, where a file has both forms', async () => {
    await putByHand('a:b', 'by hand')
    await putByHand('a\uf03ab', 'portable')
    const storage = portable()
    expect(await namesIn(storage)).toEqual(['a:b'])
    expect(await (await storage.open('a:b')).text()).toBe('portable')
  })

  it('are refused where a filesystem that counts bytes has no room for the longer form', async () => {
    const storage = portable()
    const name = '?'.repeat(100)
    await expect(storage.save(name, 'content')).rejects.toMatchObject({ code: 'InvalidName' })
    await expect(storage.exists(name)).rejects.toMatchObject({ code: 'InvalidName' })
    expect(await namesIn(storage)).toEqual([])
  })

  it('are written as they are by default', async () => {
    const storage = new FileSystemStorage({ location, fsync: false })
    for (const name of ODD) await storage.save(name, name)
    expect((await readdir(location)).filter((file) => file !== '.stowage').sort()).toEqual(
      ODD.map((name) => name.split('/')[0]).sort(),
    )
  })
})
