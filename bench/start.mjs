// The cost of a start: the code that a fresh process runs. As a program it counts the loaded modules:
// node start.mjs <contestant> <folder> prints { modules, aws } of that contestant.
import { Session } from 'node:inspector'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { dist, entry } from './stowage.mjs'

const peer = (specifier) => JSON.stringify(import.meta.resolve(specifier))
const text = (value) => JSON.stringify(value)

/** By name, the source of an ES module (or a CommonJS script) that starts a contestant. The save goes to `folder`. */
export const STARTS = {
  'node -e 0': () => ({ code: '0' }),
  'import stowage': () => ({ module: true, code: `await import(${text(entry)})` }),
  'require stowage': () => ({ code: `require(${text(`${dist}/index.cjs`)})` }),
  'stowage, first save': (folder) => ({
    module: true,
    code: `const { FileSystemStorage } = await import(${text(entry)})
await new FileSystemStorage({ location: ${text(folder)} }).save('a/b.txt', 'hello')`,
  }),
  'flydrive, first save': (folder) => ({
    module: true,
    code: `const { Disk } = await import(${peer('flydrive')})
const { FSDriver } = await import(${peer('flydrive/drivers/fs')})
await new Disk(new FSDriver({ location: ${text(folder)}, visibility: 'private' })).put('a/b.txt', 'hello')`,
  }),
  'files-sdk, first save': (folder) => ({
    module: true,
    code: `const { Files } = await import(${peer('files-sdk')})
const { fs } = await import(${peer('files-sdk/fs')})
await new Files({ adapter: fs({ root: ${text(folder)} }) }).upload('a/b.txt', 'hello')`,
  }),
  'flystorage, first save': (folder) => ({
    module: true,
    code: `const { FileStorage } = await import(${peer('@flystorage/file-storage')})
const { LocalStorageAdapter } = await import(${peer('@flystorage/local-fs')})
await new FileStorage(new LocalStorageAdapter(${text(folder)})).write('a/b.txt', 'hello')`,
  }),
  'unstorage, first save': (folder) => ({
    module: true,
    code: `const { createStorage } = await import(${peer('unstorage')})
const { default: driver } = await import(${peer('unstorage/drivers/fs')})
await createStorage({ driver: driver({ base: ${text(folder)} }) }).setItem('a/b.txt', 'hello')`,
  }),
  'import @aws-sdk/client-s3': () => ({ module: true, code: `await import(${peer('@aws-sdk/client-s3')})` }),
}

/** The arguments of `node` for one start. */
export function argumentsOf(name, folder) {
  const { code, module } = STARTS[name](folder)
  return [...(module ? ['--input-type=module'] : []), '-e', code]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name, folder] = process.argv
  const { createRequire } = await import('node:module')
  const { code, module } = STARTS[name](folder)
  const session = new Session()
  session.connect()
  const files = new Set()
  session.on('Debugger.scriptParsed', ({ params: { url } }) => {
    if (url.startsWith('file:')) files.add(url)
    else if (url.startsWith('/')) files.add(pathToFileURL(url).href)
  })
  // Also reports the scripts that are already loaded, such as this one.
  session.post('Debugger.enable')
  const before = new Set(files)
  if (module) await import(`data:text/javascript,${encodeURIComponent(code)}`)
  else new Function('require', code)(createRequire(import.meta.url))
  const loaded = [...files].filter((url) => !before.has(url))
  const aws = loaded.filter((url) => /\/node_modules\/(@aws-sdk|@smithy)\//.test(url)).length
  process.stdout.write(`${JSON.stringify({ modules: loaded.length, aws })}\n`, () => process.exit())
}
