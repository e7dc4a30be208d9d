// node once.mjs <trial> <contestant> <server or null>: one trial in a process of its own, because some end the process or
// never end. Prints its outcome as JSON. The folder is this process's working directory, and is empty.
import { load } from './contestants.mjs'
import { TRIALS } from './trials.mjs'

const [, , trial, name, server] = process.argv
const contestant = await load(name)
const { run } = TRIALS.find(({ id }) => id === trial)
const outcome = await run({ contestant, name, server: JSON.parse(server ?? 'null'), folder: process.cwd() })
process.stdout.write(`${JSON.stringify(outcome)}\n`, () => process.exit())
