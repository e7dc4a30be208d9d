import { attempt, mark, none } from '../outcome.mjs'

const SAVERS = 20

async function race(storage, how) {
  const contents = Array.from({ length: SAVERS }, (_, number) =>
    Buffer.from(`content ${number}`.padEnd(2000)),
  )
  const ends = await Promise.all(
    contents.map((content) => attempt(() => storage.saveNew('report.pdf', content))),
  )
  const refused = ends.filter(({ error }) => error !== undefined).length
  const kept = new Set()
  for await (const name of storage.list()) kept.add((await storage.read(name)).toString())
  const lost = SAVERS - refused - kept.size
  const option = how && how !== 'save' ? ` with \`${how}\`` : ''
  const fact =
    refused > 0 ? `${kept.size} kept, ${refused} refused${option}` : `${kept.size} of ${SAVERS} kept${option}`
  return mark(kept.size === SAVERS, lost === 0, lost > 0 && refused > 0 ? `${fact}, ${lost} lost` : fact)
}

export const trials = [
  {
    id: 'race-disk',
    title: '20 saves of one name at once, disk',
    on: 'disk',
    run: async ({ contestant, folder }) =>
      contestant.disk ? race(await contestant.disk(folder), contestant.createOnly.disk) : none(),
  },
  {
    id: 'race-s3',
    title: '20 saves of one name at once, S3',
    on: 'r2',
    run: async ({ contestant, server }) => race(await contestant.s3(server), contestant.createOnly.s3),
  },
]
