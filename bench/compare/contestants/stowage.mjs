import { stowage, stowageHttp } from '../stowage.mjs'

export const packages = ['stowage']
export const createOnly = { disk: 'save', s3: 'save' }

export async function disk(root) {
  const { FileSystemStorage } = await stowage()
  const storage = new FileSystemStorage({
    location: root,
    signingSecret: 'an example secret of 32 bytes or more',
  })
  return { ...ofStorage(storage), serve: (test) => serve(storage, test) }
}

export async function s3(server, { timeout } = {}) {
  const { R2Storage, S3Storage } = await stowage()
  const Backend = server.kind === 'r2' ? R2Storage : S3Storage
  const times =
    timeout === undefined ? {} : { connectTimeout: timeout, idleTimeout: timeout, retryTimeout: timeout }
  return ofStorage(new Backend({ ...server.options, ...times }))
}

function ofStorage(storage) {
  return {
    save: (name, content, options) => storage.save(name, content, { ifExists: 'overwrite', ...options }),
    saveNew: (name, content) => storage.save(name, content),
    saveChecked: (name, content, rules) => storage.save(name, content, rules),
    read: async (name) => (await storage.open(name)).read(),
    stat: (name) => storage.stat(name),
    async *list() {
      for await (const { name } of storage.list()) yield name
    },
    delete: (name) => storage.delete(name),
    signedUrl: (name) => storage.signedUrl(name),
    signedUpload: (name, { size, contentType }) => storage.signedUpload(name, { size, contentType }),
  }
}

/** The application's own server, as the guide shows it. */
async function serve(storage, test) {
  const { createServer } = await import('node:http')
  const { createFileHandler, toNodeListener } = await stowageHttp()
  const server = createServer(toNodeListener(createFileHandler(storage)))
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await test(`http://127.0.0.1:${server.address().port}`)
  } finally {
    server.closeAllConnections()
    server.close()
  }
}
