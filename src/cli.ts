import { setFlagsFromString } from 'node:v8'
import { main } from './cli/main.js'
import { versionOf } from './cli/version.js'
import { setTimeout } from './timers.js'

/** Milliseconds that a finished command may still need, such as for a source that cannot be interrupted. */
const GRACE = 1000

/**
 * V8 optimises the parser of HTTP, which is WebAssembly, after the first answer already, and a process ends only when that is
 * done: a short command would wait for it longer than for the server. Long ones still get it. The default is 1,800,000.
 */
const BYTES_BEFORE_OPTIMISING = 200_000_000
// An unknown flag would be told on stderr.
if (/^v2[0-4]\./.test(process.version)) setFlagsFromString(`--wasm-tiering-budget=${BYTES_BEFORE_OPTIMISING}`)

process.exitCode = await main(process.argv.slice(2), versionOf(new URL('../package.json', import.meta.url)))
setTimeout(() => process.exit(), GRACE).unref()
