import { realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

/** Programs with the sources of the package in them; they find the libraries from there. */
const LIBRARIES = realpathSync(fileURLToPath(new URL('../../../node_modules', import.meta.url)))
const FOLDER = join(LIBRARIES, '.cache', `stowage-tests-${process.pid}`)
const SOURCES = fileURLToPath(new URL('../../../src/', import.meta.url))

/**
 * Compiles a program, which then starts in a quarter of the time: many processes are about to run it. It is one file, or
 * with `splitting` several, of which a process loads what it needs.
 */
export async function bundle(program: URL, { splitting = false } = {}): Promise<string> {
  const name = basename(program.pathname, '.ts')
  await build({
    entry: { [name]: fileURLToPath(program) },
    outDir: FOLDER,
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    splitting,
    silent: true,
    config: false,
    clean: false,
    noExternal: [/^stowage/],
    // CommonJS, which calls `require`: an ES module has none.
    external: [/^undici/, 'htmlparser2', 'file-type', /^@fastify/],
    esbuildOptions(options) {
      options.alias = {
        'stowage/http': join(SOURCES, 'http.ts'),
        'stowage/testing': join(SOURCES, 'testing.ts'),
        stowage: join(SOURCES, 'index.ts'),
      }
      options.outExtension = { '.js': '.mjs' }
    },
  })
  return join(FOLDER, `${name}.mjs`)
}

export async function removeBundles(): Promise<void> {
  await rm(FOLDER, { recursive: true, force: true })
}
