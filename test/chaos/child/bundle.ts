import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'

/** Programs with the sources of the package in them; they find the libraries from there. */
const FOLDER = fileURLToPath(new URL(`../../../node_modules/.cache/chaos-${process.pid}`, import.meta.url))
const SOURCES = fileURLToPath(new URL('../../../src/', import.meta.url))

/** Makes one file of a program, which starts in a quarter of the time: hundreds of processes are about to run it. */
export async function bundle(program: URL): Promise<string> {
  await build({
    entry: { program: fileURLToPath(program) },
    outDir: FOLDER,
    format: ['esm'],
    target: 'node20',
    platform: 'node',
    splitting: false,
    silent: true,
    config: false,
    clean: false,
    noExternal: [/^stowage/],
    // CommonJS, which calls `require`: an ES module has none.
    external: [/^undici/, 'htmlparser2', 'file-type'],
    esbuildOptions(options) {
      options.alias = { stowage: join(SOURCES, 'index.ts') }
      options.outExtension = { '.js': '.mjs' }
    },
  })
  return join(FOLDER, 'program.mjs')
}

export async function removeBundles(): Promise<void> {
  await rm(FOLDER, { recursive: true, force: true })
}
