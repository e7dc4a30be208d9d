import { attempt, mark, none } from '../outcome.mjs'

const NAMES = [
  'a?b#c%41.txt',
  '..a',
  'party 🎉.txt',
  "it's (1) + 2 & 3.txt",
  'a%2Fb.txt',
  'two  spaces.txt',
  'Überblick 概要.txt',
  'dots...txt',
]

/** How many of the names can be saved, read, found in the list, fetched by a signed address, and deleted. */
async function odd(storage, signed) {
  let whole = 0
  for (const name of NAMES) {
    const { value } = await attempt(async () => {
      const content = Buffer.from(`the content of ${name}`)
      await storage.save(name, content)
      if (!(await storage.read(name)).equals(content)) return false
      const listed = []
      for await (const each of storage.list()) listed.push(each)
      if (signed && (await (await fetch(await storage.signedUrl(name))).text()) !== content.toString())
        return false
      await storage.delete(name)
      return listed.includes(name) && (await attempt(() => storage.read(name))).error !== undefined
    })
    if (value) whole++
  }
  return mark(whole === NAMES.length, whole > NAMES.length / 2, `${whole} of ${NAMES.length}`)
}

export const trials = [
  {
    id: 'names-disk',
    title: 'Odd names work, disk',
    on: 'disk',
    run: async ({ contestant, folder }) =>
      contestant.disk ? odd(await contestant.disk(folder), false) : none(),
  },
  {
    id: 'names-s3',
    title: 'Odd names work, S3',
    on: 'r2',
    run: async ({ contestant, server }) => odd(await contestant.s3(server), true),
  },
]
