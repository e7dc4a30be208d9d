import { attempt, mark, none } from '../outcome.mjs'

/** Saves with one storage and looks with a new one: `{ type, metadata }`, or undefined when the save fails. */
async function comesBack(open, owner) {
  const options = { contentType: 'application/x-custom', metadata: { owner } }
  const { error } = await attempt(async () => (await open()).save('a.bin', Buffer.from('hello'), options))
  if (error) return undefined
  const { value } = await attempt(async () => (await open()).stat('a.bin'))
  return { type: value?.contentType === options.contentType, metadata: value?.metadata?.owner === owner }
}

async function keeps(open) {
  const unicode = await comesBack(open, 'Zoë 🦊')
  const { type, metadata } = unicode ?? (await comesBack(open, 'Zoe'))
  const fact = type ? (metadata ? 'both' : 'type only') : 'neither'
  return mark(unicode && type && metadata, type, unicode || !metadata ? fact : 'both if ASCII, else an error')
}

export const trials = [
  {
    id: 'attributes-disk',
    title: 'Type and metadata come back, disk',
    on: 'disk',
    run: ({ contestant, folder }) => (contestant.disk ? keeps(() => contestant.disk(folder)) : none()),
  },
  {
    id: 'attributes-s3',
    title: 'Type and metadata come back, S3',
    on: 'r2',
    run: ({ contestant, server }) => keeps(() => contestant.s3(server)),
  },
]
