import { main } from './cli/main.js'
import { versionOf } from './cli/version.js'
import { setTimeout } from './timers.js'

/** Milliseconds that a finished command may still need, such as for a source that cannot be interrupted. */
const GRACE = 1000

process.exitCode = await main(process.argv.slice(2), versionOf(new URL('../package.json', import.meta.url)))
setTimeout(() => process.exit(), GRACE).unref()
