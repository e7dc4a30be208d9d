import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { defineConfig, type Options } from 'tsup'

type Plugin = NonNullable<Options['esbuildPlugins']>[number]

const dist = new URL('dist/', import.meta.url)

const packageOf = (file: string) =>
  /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file.replaceAll('\\', '/'))?.[1]

/** Leaves `import('./vendor/…')` as it is: those files are built by themselves, and loaded when they are needed. */
const vendorApart: Plugin = {
  name: 'vendor-apart',
  setup(build) {
    build.onResolve({ filter: /\/vendor\/[\w-]+\.js$/ }, ({ path }) => ({
      path: path.replace(/.*\/vendor\/([\w-]+)\.js$/, './$1.cjs'),
      external: true,
    }))
  },
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
  },
}

/**
 * Other packages' code in one file for both formats of ours, with their licences in front. `import()` goes by a file of
 * one line: before Node runs CommonJS for an `import`, it searches all of the code for its exports, which takes longer
 * than to run it.
 */
function vendor(name: string, exported: string, packages: readonly string[]): Options {
  const notices = packages.map((each) => {
    const read = (file: string) =>
      readFileSync(new URL(`node_modules/${each}/${file}`, import.meta.url), 'utf8')
    return `${each} ${JSON.parse(read('package.json')).version}\n\n${read('LICENSE').trim()}`
  })
  const everyPackageIsNamed: Plugin = {
    name: 'every-package-is-named',
    setup(build) {
      build.onLoad({ filter: /[\\/]node_modules[\\/]/ }, ({ path }) => {
        const found = packageOf(path)
        const known = found === undefined || packages.includes(found)
        return known
          ? undefined
          : { errors: [{ text: `the licence of ${found} is missing in tsup.config.ts` }] }
      })
    },
  }
  writeFileSync(
    new URL(`${name}.cjs`, dist),
    `exports.${exported} = require('./${name}-code.cjs').${exported}\n`,
  )
  return {
    entry: { [`${name}-code`]: `src/drivers/s3/vendor/${name}.ts` },
    format: ['cjs'],
    target: 'node20',
    platform: 'node',
    noExternal: [/./],
    splitting: false,
    minify: true,
    banner: { js: `/*! Bundled packages and their licences\n\n${notices.join('\n\n---\n\n')}\n*/` },
    esbuildPlugins: [withoutUnused, everyPackageIsNamed],
  }
}

// Not by `clean`: the builds run side by side.
rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)

export default defineConfig([
  {
    entry: { index: 'src/index.ts', testing: 'src/testing.ts' },
    format: ['esm', 'cjs'],
    target: 'node20',
    platform: 'node',
    dts: true,
    // For CommonJS, splitting would turn every `import()` into a `require`, which an ES module such as file-type does
    // not stand on every Node. What the two entries share is small, and errors are known across copies.
    splitting: false,
    esbuildPlugins: [vendorApart],
    // Bundled modules are named by their paths: those below the project, wherever a link in it leads.
    esbuildOptions(options) {
      options.preserveSymlinks = true
    },
  },
  vendor('undici-pool', 'Pool', ['undici']),
  vendor('xml-parser', 'Parser', [
    'htmlparser2',
    'entities',
    'domelementtype',
    'domhandler',
    'domutils',
    'dom-serializer',
  ]),
])
