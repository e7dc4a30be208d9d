import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mark, none } from '../outcome.mjs'

const FOLDERS = 200
const FILES = 100

async function fill(root) {
  for (let folder = 0; folder < FOLDERS; folder++) {
    const path = join(root, `folder-${folder}`)
    await mkdir(path)
    await Promise.all(
      Array.from({ length: FILES }, (_, file) => writeFile(join(path, `file-${file}.txt`), '')),
    )
  }
}

async function list(contestant, folder) {
  const root = join(folder, 'root')
  await mkdir(root)
  await fill(root)
  const storage = await contestant.disk(root)
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  let retained = 0
  // What is held, without garbage: twice a second, and at some of the names.
  const sample = () => {
    globalThis.gc?.()
    retained = Math.max(retained, process.memoryUsage().heapUsed - before)
  }
  const timer = setInterval(sample, 500)
  let count = 0
  let sorted = true
  let last = Buffer.alloc(0)
  for await (const name of storage.list()) {
    const bytes = Buffer.from(name)
    if (Buffer.compare(last, bytes) >= 0) sorted = false
    last = bytes
    if (++count % 2000 === 1) sample()
  }
  clearInterval(timer)
  const mebibytes = Math.max(0, retained / 2 ** 20)
  if (count !== FOLDERS * FILES) return mark(false, false, `${count} of ${FOLDERS * FILES}`)
  const constant = mebibytes < 1
  const fact = `${sorted ? 'sorted' : 'any order'}, ${mebibytes < 1 ? '< 1' : mebibytes.toFixed(1)} MiB held`
  return mark(sorted && constant, sorted || constant, fact)
}

export const trials = [
  {
    id: 'list',
    title: 'List of 20,000 files on disk',
    on: 'disk',
    limit: 300_000,
    run: ({ contestant, folder }) => (contestant.disk ? list(contestant, folder) : none()),
  },
]
