/**
 * Packs the built package, installs it beside every runtime, test runner and bundler, and runs the same application in
 * each: `npm run test:runtimes [-- PART_OF_A_NAME]`. Fails if one fails, hangs, or checks less than the others.
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { COMBINATIONS } from './combinations.mjs'
import { COMPILATIONS } from './types.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '../..')
const wanted = process.argv[2] ?? ''
/** A folder that is installed already, for work on this file. */
const kept = process.env.RUNTIMES_FOLDER
const work = kept ?? (await mkdtemp(join(tmpdir(), 'stowage-runtimes-')))
/** Milliseconds of one command. */
const PATIENCE = 300_000

/** Runs a command: what it printed, and whether it succeeded in time. */
function run([program, ...args], cwd, env = {}) {
  const place = (each) => (each.startsWith('node_modules/') ? join(work, each) : each)
  const path = program === 'node' ? process.execPath : place(program)
  return new Promise((resolve) => {
    const child = spawn(path, args.map(place), {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const collect = (piece) => {
      output += piece
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    const timer = setTimeout(() => {
      collect(`\nstill running after ${PATIENCE} ms`)
      child.kill('SIGKILL')
    }, PATIENCE)
    child.on('error', (error) => collect(`\n${error.message}`))
    child.on('close', (status) => {
      clearTimeout(timer)
      resolve({ output, ok: status === 0 })
    })
  })
}

async function must(command, cwd) {
  const { output, ok } = await run(command, cwd)
  if (!ok) throw new Error(`${command.join(' ')}:\n${output}`)
}

async function install() {
  for (const file of ['package.json', 'package-lock.json', '.npmrc'])
    await cp(join(here, file), join(work, file))
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund']
  await must(['npm', 'ci', ...quiet], work)
  await must(['npm', 'pack', '--ignore-scripts', '--pack-destination', work], root)
  const tarball = (await readdir(work)).find((file) => file.endsWith('.tgz'))
  await must(['npm', 'install', '--no-save', '--prefer-offline', ...quiet, `./${tarball}`], work)
}

/** One S3 server for all, in a process of its own. */
async function startServer() {
  const program = join(root, 'test/servers/r2-process.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', program], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (...lines) => resolve(lines))
    child.once('exit', (status) => reject(new Error(`the S3 server ended with ${status}`)))
  })
  const { endpoint, accessKeyId, secretAccessKey, buckets } = JSON.parse(line)
  const env = {
    R2_ENDPOINT_URL: endpoint,
    R2_ACCESS_KEY_ID: accessKeyId,
    R2_SECRET_ACCESS_KEY: secretAccessKey,
    R2_BUCKET_NAME: buckets[0],
  }
  return { env, stop: () => child.stdin.end() }
}

/** The application as TypeScript and as what a compiler makes of it. */
async function application() {
  const esbuild = await import(pathToFileURL(join(work, 'node_modules/esbuild/lib/main.js')))
  const source = await readFile(join(here, 'app/app.ts'), 'utf8')
  const as = async (format) =>
    (await esbuild.default.transform(source, { loader: 'ts', format, target: 'node20' })).code
  const webpack = await readFile(join(here, 'webpack.mjs'), 'utf8')
  return { 'app.ts': source, 'app.mjs': await as('esm'), 'app.cjs': await as('cjs'), 'webpack.mjs': webpack }
}

async function runAll(commands, folder, env) {
  let last = { output: '', ok: false }
  for (const command of commands) {
    last = await run(command, folder, env)
    if (!last.ok) break
  }
  return last
}

function report(name, ok, checked, start, output) {
  const seconds = ((Date.now() - start) / 1000).toFixed(1)
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}: ${checked}, ${seconds} s`)
  if (!ok) console.log(output.replace(/^/gm, '         '))
}

async function place(folder, files) {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder)
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text)
}

/** Runs the application once: how many checks it made, if it made them all. */
async function runApplication({ name, files, run: commands, withoutSdk, form }, folder, app, server) {
  const start = Date.now()
  await place(folder, { ...app, ...files })
  const env = {
    ...server.env,
    R2_ENABLED: '0',
    R2_PREFIX: folder.split('-').at(-1),
    MEDIA_ROOT: join(folder, 'media'),
    NO_COLOR: '1',
    ...(withoutSdk && { WITHOUT_SDK: '1' }),
  }
  const { output, ok } = await runAll(commands, folder, env)
  const count = Number(/checks: (\d+)/.exec(output)?.[1] ?? 0)
  // Jest ends such a run only when it is told to.
  const hangs = /did not exit|open handle/i.test(output)
  const passed = ok && count > 0 && !hangs
  report(name, passed, `${count} checks${withoutSdk ? ` (not the SDK: ${withoutSdk})` : ''}`, start, output)
  return { passed, count, form: form ?? (withoutSdk ? 'without the SDK' : 'whole') }
}

async function compile({ name, program, files, run: commands }, folder) {
  const start = Date.now()
  await place(folder, { ...files, [program]: await readFile(join(here, 'types', program), 'utf8') })
  const { output, ok } = await runAll(commands, folder, {})
  report(name, ok, 'compiles', start, output)
  return { passed: ok }
}

/** Does jobs, as many at a time as there are processors. */
async function inParallel(jobs) {
  const results = []
  const queue = jobs.values()
  const worker = async () => {
    for (const job of queue) results.push(await job())
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  return results
}

/** Combinations that make other checks than most. */
function unlike(results) {
  const counts = new Map()
  for (const { form, count } of results) counts.set(form, [...(counts.get(form) ?? []), count])
  return [...counts].filter(([, found]) => new Set(found).size > 1)
}

try {
  const start = Date.now()
  if (!kept) await install()
  console.log(`installed in ${((Date.now() - start) / 1000).toFixed(1)} s`)
  const [server, app] = await Promise.all([startServer(), application()])
  const jobs = [
    ...COMBINATIONS.map((each, index) => [
      each,
      () => runApplication(each, join(work, `run-${index}`), app, server),
    ]),
    ...COMPILATIONS.map((each, index) => [each, () => compile(each, join(work, `types-${index}`))]),
  ].filter(([{ name }]) => name.includes(wanted))
  const results = await inParallel(jobs.map(([, job]) => job))
  server.stop()
  const failed = results.filter(({ passed }) => !passed).length
  const different = unlike(results.filter(({ passed, form }) => passed && form))
  for (const [form, counts] of different)
    console.log(`FAILED ${form}: different numbers of checks: ${counts}`)
  console.log(
    `${results.length - failed} passed, ${failed + different.length} failed, in ${Math.round((Date.now() - start) / 1000)} s`,
  )
  if (failed + different.length > 0 || results.length === 0) process.exitCode = 1
} finally {
  if (!kept) await rm(work, { recursive: true, force: true })
}
