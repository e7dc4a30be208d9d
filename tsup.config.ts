import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename } from 'node:path'
import { defineConfig, type Options } from 'tsup'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

const dist = new URL('dist/', import.meta.url)

const packageOf = (file: string) =>
  /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll('\\', '/'))?.[1]

/** Keeps the `import()` of a file that has a build of its own: Node reads the file with its first use. */
function apart(format: 'esm' | 'cjs'): Plugin {
  const external = (path: string) => ({ path, external: true })
  return {
    name: 'apart',
    setup(build) {
      build.onResolve({ filter: /\/vendor\/[\w-]+\.js$/ }, ({ path }) =>
        external(path.replace(/.*\/vendor\/([\w-]+)\.js$/, './$1.cjs')),
      )
      const ending = format === 'esm' ? 'js' : 'cjs'
      // The command line uses the package as everybody does.
      build.onResolve({ filter: /^(?:\.\.\/)+index\.js$/ }, () => external('./index.js'))
      build.onResolve({ filter: /^\.\/engine\.js$/ }, () => external(`./s3-engine.${ending}`))
      build.onResolve({ filter: /^\.\/local-r2\/server\.js$/ }, () => external(`./local-r2.${ending}`))
    },
  }
}

/**
 * Leaves out of undici what a request of ours never gets to: HTTP/2, which is off by default, and bodies that are not
 * bytes. That is half of the code, and `node:http2` takes 10 ms to load.
 */
const withoutUnused: Plugin = {
  name: 'without-unused',
  setup(build) {
    build.onLoad(
      { filter: /undici[\\/]lib[\\/](?:dispatcher[\\/]client-h2|web[\\/]fetch[\\/]body)\.js$/ },
      () => ({
        contents: `module.exports = () => { throw new Error('not bundled') }`,
      }),
    )
    // Logs that nobody asks for.
    build.onLoad({ filter: /node_modules[\\/]debug[\\/]/ }, () => ({
      contents: 'module.exports = () => () => {}',
    }))
  },
}

/**
 * Gets Node's own modules by a function of Node's: bundlers make ES modules in which `require` does not work, and leave
 * the function alone.
 */
const builtinsWithoutRequire: Plugin = {
  name: 'builtins-without-require',
  setup(build) {
    build.onResolve({ filter: /^(?:node:)?[a-z_/0-9]+$/ }, ({ path, kind }) => {
      if (kind === 'entry-point' || !isBuiltin(path)) return undefined
      return { path: path.replace(/^node:/, ''), namespace: 'builtin' }
    })
    build.onLoad({ filter: /./, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule('node:${path}')`,
    }))
  },
}

/**
 * What test environments change: jsdom has timers and decoders of its own, or none; fake timers stand still. `globalThis`
 * is a look at what there is, so it has the same.
 */
const OF_NODE = {
  timers: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate'],
  util: ['TextDecoder', 'TextEncoder'],
  'stream/web': ['ReadableStream', 'TransformStream', 'DecompressionStream'],
}
const globalsOfNode = `${Object.entries(OF_NODE)
  .map(([module, names]) => {
    const renamed = names.map((name) => `${name}: node_${name}`).join(', ')
    return `const { ${renamed} } = process.getBuiltinModule('node:${module}');`
  })
  .join('\n')}
const node_queueMicrotask = (work) => void Promise.resolve().then(work);`
const definitions = Object.fromEntries(
  [...Object.values(OF_NODE).flat(), 'queueMicrotask'].flatMap((name) => [
    [name, `node_${name}`],
    [`globalThis.${name}`, `node_${name}`],
  ]),
)

/**
 * Other packages' code in one file for both formats of ours, with their licences in front. `import()` goes by a file of
 * one line: before Node runs CommonJS for an `import`, it searches all of the code for its exports, which takes longer
 * than to run it.
 */
function vendor(source: string, exported: readonly string[], packages: readonly string[]): Options {
  const name = basename(source, '.ts')
  const notices = packages.map((each) => {
    const read = (file: string) =>
      readFileSync(new URL(`node_modules/${each}/${file}`, import.meta.url), 'utf8')
    const licence = readdirSync(new URL(`node_modules/${each}/`, import.meta.url)).find((file) =>
      /^licen[cs]e/i.test(file),
    )
    const { version, license } = JSON.parse(read('package.json'))
    return `${each} ${version}\n\n${licence === undefined ? license : read(licence).trim()}`
  })
  const everyPackageIsNamed: Plugin = {
    name: 'every-package-is-named',
    setup(build) {
      build.onLoad({ filter: /[\\/]node_modules[\\/]/ }, ({ path }) => {
        const found = packageOf(path)
        const known = found === undefined || found === 'debug' || packages.includes(found)
        return known
          ? undefined
          : { errors: [{ text: `the licence of ${found} is missing in tsup.config.ts` }] }
      })
    },
  }
  writeFileSync(
    new URL(`${name}.cjs`, dist),
    exported.map((each) => `exports.${each} = require('./${name}-code.cjs').${each}\n`).join(''),
  )
  return {
    entry: { [`${name}-code`]: source },
    format: ['cjs'],
    target: 'node20',
    platform: 'node',
    noExternal: [/./],
    splitting: false,
    minify: true,
    removeNodeProtocol: false, // tsup's plugin would come before ours.
    banner: {
      js: `/*! Bundled packages and their licences\n\n${notices.join('\n\n---\n\n')}\n*/\n${globalsOfNode}`,
    },
    esbuildPlugins: [withoutUnused, everyPackageIsNamed, builtinsWithoutRequire],
    esbuildOptions(options) {
      options.define = definitions
    },
  }
}

// Not by `clean`: the builds run side by side.
rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)

/** Our own code. What two of the files share is in both: the errors of one are known to the other. */
function ours(format: 'esm' | 'cjs', entry: Record<string, string>, dts: boolean): Options {
  return {
    entry,
    format: [format],
    target: 'node20',
    platform: 'node',
    splitting: false,
    dts,
    esbuildPlugins: [apart(format)],
    esbuildOptions(options) {
      // Bundled modules are named by their paths: those below the project, wherever a link in it leads.
      options.preserveSymlinks = true
      // Test runners run CommonJS where `import()` does not work.
      if (format === 'cjs') options.supported = { 'dynamic-import': false }
    },
  }
}

const ENTRIES = { index: 'src/index.ts', http: 'src/http.ts', testing: 'src/testing.ts' }
const COMMAND_LINE = { cli: 'src/cli.ts' }
const APART = { 's3-engine': 'src/drivers/s3/engine.ts', 'local-r2': 'src/testing/local-r2/server.ts' }

export default defineConfig([
  ours('esm', ENTRIES, true),
  ours('esm', APART, false),
  { ...ours('esm', COMMAND_LINE, false), banner: { js: '#!/usr/bin/env node' } },
  ours('cjs', ENTRIES, true),
  ours('cjs', APART, false),
  vendor('src/drivers/s3/vendor/undici-pool.ts', ['Pool', 'buildConnector'], ['undici']),
  vendor(
    'src/drivers/s3/vendor/xml-parser.ts',
    ['Parser'],
    ['htmlparser2', 'entities', 'domelementtype', 'domhandler', 'domutils', 'dom-serializer'],
  ),
  vendor('src/vendor/commander.ts', ['Command', 'CommanderError'], ['commander']),
  vendor(
    'src/vendor/cli-progress.ts',
    ['SingleBar', 'stringWidth'],
    ['cli-progress', 'string-width', 'strip-ansi', 'ansi-regex', 'emoji-regex', 'is-fullwidth-code-point'],
  ),
  vendor('src/vendor/dicer.ts', ['Dicer'], ['@fastify/busboy']),
  vendor('src/vendor/mime-types.ts', ['lookup'], ['mime-types', 'mime-db']),
  vendor(
    'src/vendor/file-type.ts',
    ['fileTypeFromBuffer'],
    [
      'file-type',
      'strtok3',
      'token-types',
      'uint8array-extras',
      '@tokenizer/inflate',
      '@borewit/text-codec',
      'ieee754',
    ],
  ),
])
