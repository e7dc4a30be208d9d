/** The package as npm would publish it: built, packed, installed into an empty project, and used as users do. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => join(root, 'node_modules', '.bin', name)
const execute = promisify(execFile)

let work: string
let tarball: string
let project: string

/** Runs a program; what it prints is in the error if it fails. */
async function run(program: string, args: readonly string[], cwd: string, variables = {}): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const started = execute(program, args, { cwd, env: { ...env, ...variables }, timeout: 300_000 })
  return (
    await started.catch(({ stdout, stderr }) => assert.fail(`${program} ${args}:\n${stdout}\n${stderr}`))
  ).stdout
}

/** Runs a program in the empty project, as `.mjs` or `.cjs`. */
async function runFile(ending: string, source: string, variables = {}): Promise<string> {
  const file = `${randomUUID()}.${ending}`
  await writeFile(join(project, file), source)
  return (await run(process.execPath, [file], project, { NODE_NO_WARNINGS: '1', ...variables })).trim()
}

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'stowage-package-'))
  // A copy, so that nothing else that uses the checkout sees its dist/ come and go.
  const copy = join(work, 'copy')
  await mkdir(copy)
  for (const entry of [
    'src',
    'docs',
    'package.json',
    'tsconfig.json',
    'tsup.config.ts',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'SECURITY.md',
  ]) {
    await cp(join(root, entry), join(copy, entry), { recursive: true })
  }
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'), 'dir')
  await run(bin('tsup'), [], copy)
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', work], copy)
  tarball = join(
    work,
    (await readdir(work)).find((file) => file.endsWith('.tgz')) ?? assert.fail('no tarball'),
  )

  project = join(work, 'project')
  await mkdir(project)
  await writeFile(join(project, 'package.json'), '{ "private": true }')
  const manifest = JSON.parse(
    await readFile(join(root, 'node_modules', '@types', 'node', 'package.json'), 'utf8'),
  )
  const flags = ['--prefer-offline', '--no-audit', '--no-fund']
  await run('npm', ['install', ...flags, tarball, `@types/node@${manifest.version}`], project)
}, 400_000)
afterAll(() => rm(work, { recursive: true, force: true }))

describe.concurrent('the tarball', () => {
  it('holds the build, the documents and the licence, and nothing else', async () => {
    const listing = await run('tar', ['-tzf', tarball], work)
    const files = listing
      .trim()
      .split('\n')
      .map((line) => line.replace('package/', ''))
    const pages = (await readdir(join(root, 'docs')))
      .filter((page) => page.endsWith('.md'))
      .map((page) => `docs/${page}`)
    assert.deepEqual(files.filter((file) => !file.startsWith('dist/')).sort(), [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'SECURITY.md',
      ...pages.sort(),
      'package.json',
    ])
    for (const entry of ['index', 'http', 'testing']) {
      for (const ending of ['js', 'cjs', 'd.ts', 'd.cts'])
        assert.ok(files.includes(`dist/${entry}.${ending}`))
    }
    assert.ok(files.includes('dist/cli.js'))
    assert.ok(
      files.every((file) =>
        /^(?:dist\/[\w-]+\.(?:d\.)?c?[jt]s|docs\/[\w-]+\.md|[A-Z]+(?:\.md)?|package\.json)$/.test(file),
      ),
    )
  })

  it('has the licences of the packages that are bundled', async () => {
    const dist = join(project, 'node_modules', 'stowage', 'dist')
    for (const [file, path] of [
      ['undici-pool-code.cjs', 'undici/LICENSE'],
      ['xml-parser-code.cjs', 'htmlparser2/LICENSE'],
      ['commander-code.cjs', 'commander/LICENSE'],
      ['cli-progress-code.cjs', 'cli-progress/LICENSE.md'],
    ] as const) {
      const licence = await readFile(join(root, 'node_modules', path), 'utf8')
      assert.ok((await readFile(join(dist, file), 'utf8')).includes(licence.trim()), file)
    }
  })

  it('names no folder of the machine it was built on', async () => {
    const dist = join(project, 'node_modules', 'stowage', 'dist')
    for (const file of await readdir(dist)) {
      const text = await readFile(join(dist, file), 'utf8')
      assert.ok(!text.includes(work) && !text.includes(root), file)
    }
  })

  it('is what publint asks for', async () => {
    assert.match(await run(bin('publint'), ['run', tarball, '--strict'], work), /All good!/)
  })

  it('has the right types for every way to import it', async () => {
    await run(bin('attw'), [tarball, '--profile', 'node16', '--no-emoji'], work)
  })
})

describe('a copy of examples/chat', () => {
  it('runs on the package after one change, with npm start', async () => {
    const copy = join(work, 'chat')
    const isSource = (path: string) => !/node_modules|uploads$|package-lock/.test(path.slice(root.length))
    await cp(join(root, 'examples', 'chat'), copy, { recursive: true, filter: isSource })
    const manifest = await readFile(join(copy, 'package.json'), 'utf8')
    await writeFile(join(copy, 'package.json'), manifest.replace('file:../..', tarball))
    await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund'], copy)
    // A group of processes of its own: npm does not pass signals on.
    const { NODE_OPTIONS: _, ...env } = process.env
    const npm = spawn('npm', ['start'], { cwd: copy, env: { ...env, PORT: '0' }, detached: true })
    try {
      let output = ''
      let address: string | undefined
      for await (const chunk of npm.stdout) {
        output += chunk
        address = /http:\S+/.exec(output)?.[0]
        if (address !== undefined) break
      }
      assert.ok(address !== undefined && !/Building/.test(output), output)
      assert.match(await (await fetch(address)).text(), /<title>Chat<\/title>/)
    } finally {
      if (npm.pid !== undefined) process.kill(-npm.pid)
    }
  })
})

const useIt = `
  const main = async () => {
    const storage = new stowage.FileSystemStorage({ location: './uploads-' + process.pid })
    const name = await storage.save(stowage.documentPath(1, 'a b.txt'), 'hello', { allowedTypes: ['text/plain'] })
    const refused = await storage.save('x.png', '<html>', stowage.chatUploadRules).catch((error) => error)
    const file = await storage.open(name)
    console.log(name, await file.text(), file.contentType, refused.name, refused.found, testing.conformanceCases.length > 100)
    const server = await testing.startLocalR2()
    const r2 = stowage.createDefaultStorage(server.env)
    const stored = await r2.open(await r2.save('b.txt', 'from R2'))
    const misspelt = await testing.startLocalR2({ prot: 1 }).catch((error) => error)
    console.log(String(r2), await stored.text(), stowage.isStorageError(misspelt), misspelt.name)
    await server.close()
  }
  main()
`
const used = `documents/1/a_b.txt hello text/plain UploadRejectedError text/html true
R2Storage(test-bucket) from R2 true ConfigurationError`

describe.concurrent('the installed package', () => {
  it('works from an ES module', async () => {
    const imports = `import * as stowage from 'stowage'; import * as testing from 'stowage/testing';`
    assert.equal(await runFile('mjs', imports + useIt), used)
  })

  it('works from CommonJS, upload rules included, also where Node cannot require an ES module', async () => {
    const requires = `const stowage = require('stowage'); const testing = require('stowage/testing');`
    assert.equal(await runFile('cjs', requires + useIt), used)
    const options = { NODE_OPTIONS: '--no-experimental-require-module' }
    assert.equal(await runFile('cjs', requires + useIt, options), used)
  })

  it('loads the local R2 when it is started, not with the conformance cases', async () => {
    const source = `
      const { startLocalR2 } = require('stowage/testing')
      const loaded = () => Object.keys(require.cache).filter((file) => /local-r2/.test(file)).length
      const before = loaded()
      startLocalR2().then(async (server) => {
        await server.close()
        console.log(before, loaded())
      })`
    assert.equal(await runFile('cjs', source), '0 1')
  })

  it('compiles under strict, as an ES module and as CommonJS, and a misspelt option does not', async () => {
    const source = `
      import { createDefaultStorage, defaultStorage, documentPath, isStorageError, R2Storage, type SaveOptions, Storage, type StoredFile } from 'stowage'
      import { type ConformanceHarness, conformanceCases, type LocalR2, startLocalR2 } from 'stowage/testing'

      export async function use(storage: Storage = defaultStorage): Promise<string> {
        const options: SaveOptions = { ifExists: 'error', signal: AbortSignal.timeout(1000), metadata: { by: 'me' } }
        const name: string = await storage.save(documentPath(1, 'a.txt'), 'hello', options)
        const file: StoredFile = await storage.open(name)
        const text: string = await file.text()
        const harness: ConformanceHarness = { makeStorage: async () => storage, signedUrls: 'unsupported' }
        for (const { run } of conformanceCases) await run(harness)
        const server: LocalR2 = await startLocalR2({ port: 9000 })
        createDefaultStorage(server.env)
        // @ts-expect-error there is no such option
        await startLocalR2({ delayMs: 5 })
        // @ts-expect-error there is no such option
        await storage.save(name, text, { ifExist: 'error' })
        // @ts-expect-error a bucket is needed
        return isStorageError(new R2Storage({})) ? name : text
      }
    `
    await writeFile(join(project, 'use.mts'), source)
    await writeFile(join(project, 'use.cts'), source)
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
      types: ['node'],
      skipLibCheck: true,
    }
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['use.mts', 'use.cts'] }),
    )
    await run(bin('tsc'), ['-p', 'tsconfig.json'], project)
  })

  it('has one default storage and one kind of errors, whether imported, required or both', async () => {
    const output = await runFile(
      'mjs',
      `import { createRequire } from 'node:module'
      import * as esm from 'stowage'
      const cjs = createRequire(import.meta.url)('stowage')
      const restore = cjs.setDefaultStorage(new cjs.MemoryStorage())
      await esm.defaultStorage.save('a.txt', 'shared')
      const text = await (await cjs.defaultStorage.open('a.txt')).text()
      const error = await cjs.defaultStorage.open('missing').catch((error) => error)
      const other = await new esm.MemoryStorage().open('missing').catch((error) => error)
      restore()
      console.log(
        esm.Storage !== cjs.Storage, text, error instanceof esm.StorageError,
        esm.isStorageError(error), cjs.isStorageError(other), error.code, esm.isStorageError(new Error('other')),
      )`,
    )
    assert.equal(output, 'true shared false true true NotFound false')
  })

  it('wraps storages of the copy that was required in the copy that was imported', async () => {
    const output = await runFile(
      'mjs',
      `import { createRequire } from 'node:module'
      import * as esm from 'stowage'
      const cjs = createRequire(import.meta.url)('stowage')
      const [newer, older] = [new esm.MemoryStorage(), new cjs.MemoryStorage()]
      await older.save('tenants/7/a.txt', 'old')
      const storage = esm.readThrough(newer, esm.prefixed(cjs.prefixed(older, 'tenants'), '7'))
      const restore = cjs.setDefaultStorage(storage)
      const wrapped = esm.readOnly(esm.defaultStorage)
      const text = await (await wrapped.open('a.txt')).text()
      const refused = await wrapped.delete('a.txt').catch((error) => error)
      const missing = await cjs.readOnly(storage).open('b.txt').catch((error) => error)
      restore()
      console.log(text, refused.code, missing.code, refused instanceof esm.StorageError, missing instanceof cjs.StorageError)`,
    )
    assert.equal(output, 'old PermissionDenied NotFound true true')
  })

  it('takes an aborted request back at once also in a minified bundle', async () => {
    const source = `
      import { once } from 'node:events'
      import { createServer } from 'node:http'
      import { R2Storage } from 'stowage'
      const controller = new AbortController()
      const server = createServer((request, response) => {
        response.on('close', () => console.log(request.method, 'closed'))
        controller.abort()
      })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      const storage = new R2Storage({
        endpoint: 'http://127.0.0.1:' + server.address().port,
        bucket: 'files', accessKeyId: 'a', secretAccessKey: 's', idleTimeout: 600_000,
      })
      const error = await storage.delete('a.txt', { signal: controller.signal }).catch((error) => error)
      console.log(error.code)
      server.close()
    `
    await writeFile(join(project, 'app.mjs'), source)
    const banner = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`
    const flags = ['--bundle', '--minify', '--platform=node', '--format=esm', `--banner:js=${banner}`]
    await run(bin('esbuild'), ['app.mjs', ...flags, '--outfile=bundle.mjs'], project)
    const output = await run(process.execPath, ['bundle.mjs'], project)
    assert.deepEqual(output.trim().split('\n'), ['Aborted', 'DELETE closed'])
  })

  describe.each([
    ['mjs', `import * as stowage from 'stowage';`],
    ['cjs', `const stowage = require('stowage');`],
  ])('as %s', (ending, load) => {
    it('loads nothing else to save a file on the disk', async () => {
      const source = `${load} new stowage.FileSystemStorage({ location: './loaded' }).save('a.txt', 'hello')`
      const loaded = await packagesLoaded(ending, source)
      assert.deepEqual([...loaded], ['stowage'])
    })

    it('loads no other package for an upload rule', async () => {
      const options = `{ allowedTypes: ['text/plain'] }`
      const source = `${load} new stowage.MemoryStorage().save('a.txt', 'hello', ${options})`
      assert.deepEqual([...(await packagesLoaded(ending, source))], ['stowage'])
    })

    const listing = (more: string) => {
      const options = `{ endpoint: 'http://127.0.0.1:1', bucket: 'files', accessKeyId: 'a', secretAccessKey: 'b', maxAttempts: 1, ${more} }`
      return `${load} new stowage.R2Storage(${options}).list().next().catch(() => {})`
    }

    it('loads no other package for a request to S3', async () => {
      assert.deepEqual([...(await packagesLoaded(ending, listing('')))], ['stowage'])
    })

    it('loads the AWS SDK where it is asked for, which proves that the look above sees CommonJS', async () => {
      const loaded = await packagesLoaded(ending, listing('fastPath: false'))
      assert.ok(loaded.has('@aws-sdk/client-s3'), [...loaded].join(' '))
    })
  })
})

describe('the command line of the installed package', () => {
  const stowage = (...args: string[]) => run('npx', ['--no-install', 'stowage', ...args], project)

  it('stores, lists and prints files by npx', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
    assert.equal(await stowage('--version'), `${version}\n`)
    await writeFile(join(project, 'report.txt'), 'the report')
    await writeFile(join(project, '.env'), 'MEDIA_ROOT=./from-env\n')
    assert.equal(await stowage('put', 'report.txt', 'docs/', '--env-file', '.env'), 'docs/report.txt\n')
    assert.equal(await stowage('ls', 'docs', '--storage', 'fs:./from-env'), 'report.txt\n')
    assert.equal(await stowage('cat', 'docs/report.txt', '--env-file', '.env'), 'the report')
  })

  it('is an executable file', async () => {
    const { mode } = await stat(join(project, 'node_modules', 'stowage', 'dist', 'cli.js'))
    assert.equal(mode & 0o111, 0o111)
    const bare = await run(join(project, 'node_modules', '.bin', 'stowage'), ['--help'], project)
    assert.match(bare, /^Usage: stowage /)
  })

  it('loads no other package, on disk and on R2', async () => {
    const cli = `process.argv = [process.argv[0], 'stowage', ...ARGS]
      process.on('exit', () => { process.exitCode = 0 }) // Nobody listens on that port.
      const { pathToFileURL } = require('node:url')
      import(pathToFileURL(require.resolve('stowage/package.json').replace('package.json', 'dist/cli.js')))`
    const withArguments = (...args: string[]) => cli.replace('ARGS', JSON.stringify(args))
    for (const source of [
      withArguments('--storage', 'fs:./loaded', 'ls', '--long'),
      withArguments('--storage', 'r2:files?endpoint=http://127.0.0.1:1', 'ls'),
    ]) {
      const variables = { R2_ACCESS_KEY_ID: 'a', R2_SECRET_ACCESS_KEY: 'b' }
      assert.deepEqual([...(await packagesLoaded('cjs', source, variables))], ['stowage'])
    }
  })
})

/** The packages a program loads, by V8's own account of all scripts, ES modules and CommonJS alike. */
async function packagesLoaded(ending: string, source: string, variables = {}): Promise<Set<string>> {
  const folder = await mkdtemp(join(work, 'coverage-'))
  await runFile(ending, source, { NODE_V8_COVERAGE: folder, ...variables })
  const packages = new Set<string>()
  for (const report of await readdir(folder)) {
    const { result }: { result: { url: string }[] } = JSON.parse(await readFile(join(folder, report), 'utf8'))
    for (const { url } of result) {
      const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
      if (name !== undefined) packages.add(name)
    }
  }
  return packages
}
