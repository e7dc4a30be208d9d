/** Where the application runs: the files that a user of the tool would write, and the command. */

const NODE_22 = 'node_modules/node-22/bin/node'
const NODE_24 = 'node_modules/node-24/bin/node'
const BUN = 'node_modules/@oven/bun-linux-x64-baseline/bin/bun'
const DENO = 'node_modules/@deno/linux-x64-glibc/deno'

const ESM = { 'package.json': '{ "type": "module" }' }
const CJS = { 'package.json': '{ "type": "commonjs" }' }
const REQUIRE_BANNER =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

const main = (load) => `${load}
checks('uploads').then((count) => console.log('checks: ' + count))
`
const MAIN_MJS = { 'main.mjs': main("import { checks } from './app.mjs'") }
const MAIN_CJS = { 'main.cjs': main("const { checks } = require('./app.cjs')") }
const MAIN_TS = { 'main.ts': main("import { checks } from './app.ts'") }

/** Two copies of the package, under timers that stand still. */
const FAKE_TIMERS = `test('fake timers and two copies', async () => {
  jest.useFakeTimers()
  const first = require('stowage')
  const { R2_ENDPOINT_URL, R2_BUCKET_NAME, R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_PREFIX } = process.env
  const storages = [
    new first.MemoryStorage(),
    new first.FileSystemStorage({ location: 'uploads' }),
    new first.R2Storage({ endpoint: R2_ENDPOINT_URL, bucket: R2_BUCKET_NAME, accessKeyId: R2_ACCESS_KEY_ID, secretAccessKey: R2_SECRET_ACCESS_KEY, prefix: R2_PREFIX }),
  ]
  let count = 0
  const equal = (found, wanted) => {
    count += 1
    expect(found).toBe(wanted)
  }
  for (const storage of storages) {
    const chunks = async function* () {
      for (let index = 0; index < 200; index++) yield index % 2 ? '' : 'x'
    }
    await storage.save('a.txt', chunks(), { allowedTypes: ['text/plain'] })
    equal(await (await storage.open('a.txt')).text(), 'x'.repeat(100))
    await storage.delete('a.txt')
  }
  first.setDefaultStorage(storages[0])
  await first.defaultStorage.save('b.txt', 'shared')
  jest.resetModules()
  const second = require('stowage')
  equal(second === first, false)
  equal(await (await second.defaultStorage.open('b.txt')).text(), 'shared')
  const error = await second.defaultStorage.open('missing').catch((thrown) => thrown)
  equal(first.isStorageError(error) && second.isStorageError(error), true)
  console.log('checks: ' + count)
}, 30000)
`

/** The command line of the package, in processes of the same Node. */
const COMMAND_LINE = `import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
const manifest = createRequire(import.meta.url).resolve('stowage/package.json')
let count = 0
function stowage(args, expected, { input = '', code = 0 } = {}) {
  const program = manifest.replace('package.json', 'dist/cli.js')
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { input, encoding: 'utf8' })
  assert.deepEqual([status, stdout], [code, expected], stderr)
  count += 1
}
writeFileSync('.env', 'MEDIA_ROOT=./from-env\\nR2_ENABLED=0')
writeFileSync('other.env', 'R2_ENABLED=1')
delete process.env.MEDIA_ROOT
delete process.env.R2_ENABLED
stowage(['put', '-', 'a.txt', '--env-file', '.env'], 'a.txt\\n', { input: 'on disk' })
stowage(['--env-file=.env', 'ls'], 'a.txt\\n')
stowage(['cat', 'a.txt', '--storage', 'fs:./from-env'], 'on disk')
stowage(['put', '-', 'b.txt', '--env-file', 'other.env'], 'b.txt\\n', { input: 'on R2' })
stowage(['--env-file', 'other.env', 'cat', 'b.txt'], 'on R2')
stowage(['stat', 'missing', '--env-file', '.env'], '', { code: 1 })
console.log('checks: ' + count)
`
const COMMAND_LINES = { ...ESM, 'main.mjs': COMMAND_LINE }

/** A test for any runner that has `test` as a global. */
const testOf = (load, set = '') => `${load}
${set}
test('the application', async () => console.log('checks: ' + (await checks('uploads'))), 60000)
`
const IMPORT = "import { checks } from './app.mjs'"
const REQUIRE = "const { checks } = require('./app.cjs')"

const json = (value) => JSON.stringify(value, undefined, 2)
const jest = (config) => ({
  'jest.config.json': json({ transform: {}, testMatch: ['**/app.test.*'], ...config }),
})
const JEST = ['node', 'node_modules/jest/bin/jest.js', '--detectOpenHandles']
const JEST_ESM = ['node', '--experimental-vm-modules', ...JEST.slice(1)]
const vitest = (config) => ({
  'vitest.config.mjs': `export default ${json({ test: { globals: true, include: ['app.test.*'], ...config } })}`,
})
const VITEST = ['node', 'node_modules/vitest/vitest.mjs', 'run']
const tsJest = (compilerOptions, useESM) => ({
  transform: { '^.+\\.ts$': ['ts-jest', { useESM, tsconfig: { target: 'es2022', ...compilerOptions } }] },
})

const ESBUILD = [
  'node',
  'node_modules/esbuild/bin/esbuild',
  '--bundle',
  '--platform=node',
  '--log-level=warning',
]

const webpack = (config) => `module.exports = ${json({
  mode: 'production',
  target: 'node20',
  ...config,
})}
module.exports.output.path = __dirname + '/out'
`

export const COMBINATIONS = [
  { name: 'Node 20, import', files: { ...ESM, ...MAIN_MJS }, run: [['node', 'main.mjs']] },
  { name: 'Node 20, require', files: { ...CJS, ...MAIN_CJS }, run: [['node', 'main.cjs']] },
  { name: 'Node 22, import', files: { ...ESM, ...MAIN_MJS }, run: [[NODE_22, 'main.mjs']] },
  { name: 'Node 22, require', files: { ...CJS, ...MAIN_CJS }, run: [[NODE_22, 'main.cjs']] },
  { name: 'Node 24, import', files: { ...ESM, ...MAIN_MJS }, run: [[NODE_24, 'main.mjs']] },
  { name: 'Node 24, require', files: { ...CJS, ...MAIN_CJS }, run: [[NODE_24, 'main.cjs']] },
  { name: 'Node 20, command line', files: COMMAND_LINES, run: [['node', 'main.mjs']], form: 'command line' },
  { name: 'Node 22, command line', files: COMMAND_LINES, run: [[NODE_22, 'main.mjs']], form: 'command line' },
  { name: 'Node 24, command line', files: COMMAND_LINES, run: [[NODE_24, 'main.mjs']], form: 'command line' },
  {
    name: 'node:test',
    files: {
      ...ESM,
      'app.test.mjs': testOf(`import { test as it } from 'node:test'\n${IMPORT}`, NODE_TEST()),
    },
    run: [['node', '--test', '--test-reporter=spec', 'app.test.mjs']],
  },
  {
    name: 'Jest, CommonJS',
    files: { ...CJS, ...jest({}), 'app.test.cjs': testOf(REQUIRE) },
    run: [JEST],
  },
  {
    name: 'Jest, fake timers and two copies',
    files: { ...CJS, ...jest({}), 'app.test.cjs': FAKE_TIMERS },
    run: [JEST],
    form: 'timers',
  },
  {
    name: 'Jest, ES modules',
    files: {
      ...ESM,
      ...jest({ moduleFileExtensions: ['mjs', 'js', 'json', 'cjs'] }),
      'app.test.mjs': testOf(IMPORT),
    },
    run: [JEST_ESM],
  },
  {
    name: 'Jest, jsdom',
    files: {
      ...CJS,
      ...jest({ testEnvironment: 'jest-environment-jsdom' }),
      'app.test.cjs': testOf(REQUIRE),
    },
    run: [JEST],
    withoutSdk:
      "Jest takes the SDK's modules for browsers, which CommonJS cannot load; with those for Node, its jsdom lacks TextEncoder",
  },
  {
    name: 'ts-jest, CommonJS',
    files: {
      ...CJS,
      ...jest({
        ...tsJest({ module: 'node16', isolatedModules: true }, false),
        moduleFileExtensions: ['ts', 'js', 'cjs', 'json'],
      }),
      'app.test.ts': testOf("import { checks } from './app'"),
    },
    run: [JEST],
  },
  {
    name: 'ts-jest, ES modules',
    files: {
      ...ESM,
      ...jest({
        ...tsJest({ module: 'nodenext' }, true),
        extensionsToTreatAsEsm: ['.ts'],
        moduleNameMapper: { '^(\\./app)\\.js$': '$1' },
      }),
      'app.test.ts': testOf("import { checks } from './app.js'"),
    },
    run: [JEST_ESM],
  },
  {
    name: 'babel-jest',
    files: {
      ...CJS,
      'babel.config.json': json({ presets: [['@babel/preset-env', { targets: { node: 'current' } }]] }),
      ...jest({
        transform: { '\\.m?js$': 'babel-jest' },
        moduleFileExtensions: ['js', 'mjs', 'cjs', 'json'],
      }),
      'app.test.js': testOf(IMPORT),
    },
    run: [JEST],
  },
  { name: 'Vitest', files: { ...ESM, ...vitest({}), 'app.test.mjs': testOf(IMPORT) }, run: [VITEST] },
  {
    name: 'Vitest, jsdom',
    files: { ...ESM, ...vitest({ environment: 'jsdom' }), 'app.test.mjs': testOf(IMPORT) },
    run: [VITEST],
  },
  {
    name: 'Vitest, happy-dom',
    files: { ...ESM, ...vitest({ environment: 'happy-dom' }), 'app.test.mjs': testOf(IMPORT) },
    run: [VITEST],
  },
  {
    name: 'Vitest, the package inlined',
    files: {
      ...ESM,
      ...vitest({ server: { deps: { inline: ['stowage'] } } }),
      'app.test.mjs': testOf(IMPORT),
    },
    run: [VITEST],
  },
  { name: 'Bun, import', files: { ...ESM, ...MAIN_TS }, run: [[BUN, 'main.ts']] },
  { name: 'Bun, require', files: { ...CJS, ...MAIN_CJS }, run: [[BUN, 'main.cjs']] },
  {
    name: 'bun test',
    files: { ...ESM, 'app.test.ts': testOf("import { checks } from './app.ts'") },
    run: [[BUN, 'test']],
  },
  {
    name: 'Deno, import',
    files: { ...ESM, ...MAIN_TS },
    run: [[DENO, 'run', '--allow-all', '--no-check', 'main.ts']],
  },
  { name: 'Deno, require', files: { ...CJS, ...MAIN_CJS }, run: [[DENO, 'run', '--allow-all', 'main.cjs']] },
  {
    name: 'esbuild, ES module with createRequire',
    files: { ...ESM, ...MAIN_MJS },
    run: [
      [...ESBUILD, 'main.mjs', '--format=esm', '--outfile=out/main.mjs', `--banner:js=${REQUIRE_BANNER}`],
      ['node', 'out/main.mjs'],
    ],
  },
  {
    name: 'esbuild, CommonJS',
    files: { ...ESM, ...MAIN_MJS },
    run: [
      [...ESBUILD, 'main.mjs', '--format=cjs', '--outfile=out/main.cjs'],
      ['node', 'out/main.cjs'],
    ],
  },
  {
    name: 'esbuild, CommonJS, minified',
    files: { ...ESM, ...MAIN_MJS },
    run: [
      [...ESBUILD, 'main.mjs', '--format=cjs', '--minify', '--outfile=out/main.cjs'],
      ['node', 'out/main.cjs'],
    ],
  },
  {
    name: 'esbuild, ES module without require',
    withoutSdk: 'the SDK requires modules of Node, which esbuild does not allow in ES modules',
    files: { ...ESM, ...MAIN_MJS },
    run: [
      [...ESBUILD, 'main.mjs', '--format=esm', '--outfile=out/main.mjs'],
      ['node', 'out/main.mjs'],
    ],
  },
  {
    name: 'webpack, CommonJS',
    files: {
      ...ESM,
      ...MAIN_MJS,
      'webpack.config.cjs': webpack({ entry: './main.mjs', output: { filename: 'main.cjs' } }),
    },
    run: [
      ['node', 'webpack.mjs'],
      ['node', 'out/main.cjs'],
    ],
  },
  {
    name: 'webpack, ES module',
    files: {
      ...ESM,
      ...MAIN_MJS,
      'webpack.config.cjs': webpack({
        entry: './main.mjs',
        experiments: { outputModule: true },
        output: { filename: 'main.mjs', module: true, chunkFormat: 'module' },
      }),
    },
    run: [
      ['node', 'webpack.mjs'],
      ['node', 'out/main.mjs'],
    ],
  },
]

function NODE_TEST() {
  return 'const test = (name, work) => it(name, work)'
}
