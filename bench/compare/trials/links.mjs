import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { attempt, mark, none } from '../outcome.mjs'

/** A root beside a folder that nobody may reach, with links from one to the other. */
async function world(folder) {
  const [root, outside] = [join(folder, 'root'), join(folder, 'outside')]
  await mkdir(root)
  await mkdir(outside)
  await writeFile(join(outside, 'secret.txt'), 'secret')
  await symlink(outside, join(root, 'folder'))
  await symlink(join(outside, 'secret.txt'), join(root, 'file.txt'))
  return { root, outside }
}

async function outsideIs(outside) {
  const names = (await readdir(outside)).sort()
  return `${names.join()}:${await readFile(join(outside, 'secret.txt'), 'utf8').catch(() => 'gone')}`
}

async function escapes(contestant, folder) {
  const { root, outside } = await world(folder)
  const storage = await contestant.disk(root)
  const before = await outsideIs(outside)
  const got = []
  const reads = async (names) => {
    for (const name of names) {
      const { value } = await attempt(() => storage.read(name))
      if (value?.toString() === 'secret') return true
    }
    return false
  }
  if (await reads(['../outside/secret.txt', 'a/../../outside/secret.txt', join(outside, 'secret.txt')]))
    got.push('`../` reads')
  await attempt(() => storage.save('../outside/new.txt', Buffer.from('new')))
  if ((await outsideIs(outside)) !== before) got.push('`../` writes')
  if (await reads(['folder/secret.txt', 'file.txt'])) got.push('links read')
  const now = await outsideIs(outside)
  await attempt(() => storage.save('folder/new.txt', Buffer.from('new')))
  await attempt(() => storage.save('file.txt', Buffer.from('new')))
  await attempt(() => storage.delete('folder/secret.txt'))
  if ((await outsideIs(outside)) !== now) got.push('links write')
  const dots = got.some((how) => how.startsWith('`'))
  const fact =
    got.length === 0 ? '`../` and links refused' : `${dots ? '' : '`../` refused; '}${got.join(', ')}`
  return mark(got.length === 0, !dots, fact)
}

export const trials = [
  {
    id: 'escape',
    title: 'Out of the root by `../` or a symbolic link',
    on: 'disk',
    run: ({ contestant, folder }) => (contestant.disk ? escapes(contestant, folder) : none()),
  },
]
