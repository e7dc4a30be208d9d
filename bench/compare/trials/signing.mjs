import { attempt, mark, no, none, partly } from '../outcome.mjs'

async function onDisk(contestant, folder) {
  if (!contestant.disk) return none()
  const storage = await contestant.disk(folder)
  await storage.save('a.txt', Buffer.from('hello'))
  const { value: url, error } = await attempt(() => storage.signedUrl('a.txt'))
  if (error || url.startsWith('file:')) return contestant.signedOnDisk
  return storage.serve(async (origin) => {
    const status = async (address, init) => (await fetch(`${origin}${address}`, init)).status
    const [got, bare, forged] = [
      await status(url),
      await status(url.replace(/\?.*/, '')),
      await status(`${url.slice(0, -5)}${url.at(-5) === 'A' ? 'B' : 'A'}${url.slice(-4)}`),
    ]
    const upload = await storage.signedUpload('up.png', { size: 1000, contentType: 'image/png' })
    const sent = (bytes) =>
      status(upload.url, { method: upload.method, headers: upload.headers, body: Buffer.alloc(bytes) })
    const [long, exact] = [await sent(2000), await sent(1000)]
    const good = got === 200 && bare >= 400 && forged >= 400 && long >= 400 && exact < 300
    return good
      ? mark(true, true, 'download and upload')
      : partly(`GET ${got}, without signature ${bare}, forged ${forged}, upload ${exact}, too long ${long}`)
  })
}

/** Sends the file that was announced, and three others. */
async function exact(storage) {
  const sizes = { size: 1000, contentType: 'image/png' }
  const send = async (name, bytes, type) => {
    const { value: upload, error } = await attempt(() => storage.signedUpload(name, sizes))
    if (error) return { error }
    const body = Buffer.alloc(bytes)
    if (upload.method === 'POST') {
      const form = new FormData()
      for (const [field, value] of Object.entries({ ...upload.fields, 'Content-Type': type }))
        form.append(field, value)
      form.append('file', new Blob([body], { type }), name)
      return { status: (await fetch(upload.url, { method: 'POST', body: form })).status }
    }
    const headers = { ...upload.headers }
    for (const header of Object.keys(headers))
      if (header.toLowerCase() === 'content-type') delete headers[header]
    for (const header of Object.keys(headers))
      if (header.toLowerCase() === 'content-length') delete headers[header]
    return {
      status: (
        await fetch(upload.url, { method: 'PUT', headers: { ...headers, 'content-type': type }, body })
      ).status,
    }
  }
  const right = await send('right.png', 1000, 'image/png')
  if (right.error) return no('throws')
  if (right.status >= 300) return no(`the right file: HTTP ${right.status}`)
  const bound = []
  if (
    (await send('long.png', 2000, 'image/png')).status >= 400 &&
    (await send('short.png', 500, 'image/png')).status >= 400
  ) {
    bound.push('size')
  }
  if ((await send('page.png', 1000, 'text/html')).status >= 400) bound.push('type')
  return mark(
    bound.length === 2,
    bound.length === 1,
    bound.length ? `${bound.join(' and ')} bound` : 'any size, any type',
  )
}

export const trials = [
  {
    id: 'signed-disk',
    title: 'Signed download and upload on disk',
    on: 'disk',
    run: ({ contestant, folder }) => onDisk(contestant, folder),
  },
  {
    id: 'signed-r2',
    title: 'Signed upload of exact size and type, R2',
    on: 'r2',
    run: async ({ contestant, server }) => exact(await contestant.s3(server)),
  },
  {
    id: 'signed-ceph',
    title: 'The same, S3 (Ceph)',
    on: 'ceph',
    run: async ({ contestant, server }) => exact(await contestant.s3(server)),
  },
]
