// Measures the built package, as it is published. STOWAGE_DIST names another build, to compare two.
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const dist = process.env.STOWAGE_DIST
  ? resolve(process.env.STOWAGE_DIST)
  : fileURLToPath(new URL('../dist', import.meta.url))

export const entry = pathToFileURL(`${dist}/index.js`).href

export const stowage = () => import(entry)
