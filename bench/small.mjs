// A child of bench.mjs: the small operations of S3 or of the filesystem. Prints its results as one line of JSON.
// node --expose-gc small.mjs s3|fs '<settings>'
import './builtin-fetch.mjs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FS_CONTESTANTS } from './fs-contestants.mjs'
import { measureInTurns } from './rounds.mjs'
import { S3_CONTESTANTS } from './s3-contestants.mjs'

const [, , kind, json = '{}'] = process.argv
const settings = {
  rounds: 3,
  turnMs: 100,
  minimum: 100,
  concurrency: 16,
  size: 16 * 1024,
  ...JSON.parse(json),
}
const bytes = Buffer.alloc(settings.size, 'stowage ')
const wanted = (name, list) => !list || list.includes(name)

async function ready(factories, place) {
  const made = {}
  for (const [name, factory] of Object.entries(factories)) {
    if (!wanted(name, settings.contestants)) continue
    try {
      made[name] = await factory(place(name))
    } catch (error) {
      process.stderr.write(`${name} does not run here: ${error.message}\n`)
    }
  }
  return made
}

/** The contestants that can do the case once without an error, and the number of requests each needs. */
async function able(contestants, call, toArguments, prepare) {
  const operations = {}
  const requests = {}
  for (const [name, contestant] of Object.entries(contestants)) {
    if (!contestant[call]) continue
    const operate = (index) => contestant[call](...toArguments(index))
    try {
      await prepare?.(name, 0, 2)
      await operate(0)
      await countRequests()
      await operate(1)
      requests[name] = await countRequests()
      operations[name] = operate
    } catch (error) {
      process.stderr.write(`${name} fails at ${call}: ${error.message}\n`)
    }
  }
  return { operations, requests }
}

const control = (action) => fetch(`${settings.endpoint}/-/${action}`).then((answer) => answer.text())

async function countRequests() {
  if (kind !== 's3') return 0
  return Object.values(JSON.parse(await control('counts'))).reduce((sum, each) => sum + each, 0)
}

async function runS3() {
  const contestants = await ready(S3_CONTESTANTS, () => settings.endpoint)
  await control('fill?prefix=documents/42/report-&count=64')
  const existing = (index) => [`documents/42/report-${index % 64}`]
  let serial = 0
  const fresh = () => [`fresh/42/report-${serial++}`, bytes]
  const clear = () => control('clear?prefix=fresh/')
  /** The names that `fill` has stored. Each turn deletes its own. */
  let filled = 0
  const cases = {
    save: [(index) => [...existing(index), bytes]],
    saveNew: [fresh, clear, clear],
    open: [existing],
    exists: [existing],
    delete: [
      (index) => [`doomed/42/report-${index - filled}`],
      async (_name, start, count) => {
        filled = start
        await control(`fill?prefix=doomed/42/report-&count=${count}`)
      },
    ],
    signedUrl: [existing],
  }
  return runCases(contestants, cases, {})
}

async function runFs() {
  const root = join(settings.folder, 'small')
  try {
    const contestants = await ready(FS_CONTESTANTS, (name) => join(root, name))
    const folder = (name) => join(root, name, 'fresh', '42')
    const renew = async (name) => {
      await rm(folder(name), { recursive: true, force: true })
      await mkdir(folder(name), { recursive: true })
    }
    for (const [name, contestant] of Object.entries(contestants)) {
      await mkdir(join(root, name, 'documents', '42'), { recursive: true })
      for (let index = 0; index < 64; index++)
        await contestant.saveOver(`documents/42/report-${index}.pdf`, bytes)
      await renew(name)
    }
    const existing = (index) => [`documents/42/report-${index % 64}.pdf`]
    let serial = 0
    const fresh = () => [`fresh/42/report-${serial++}.pdf`, bytes]
    const cases = {
      save: [fresh, renew, renew],
      saveOver: [(index) => [...existing(index), bytes]],
      saveDurable: [fresh, renew, renew],
      open: [existing],
      exists: [existing],
    }
    return await runCases(contestants, cases, { saveDurable: { turnMs: settings.turnMs * 2 } })
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

async function runCases(contestants, cases, overrides) {
  const results = {}
  for (const [call, [toArguments, before, after]] of Object.entries(cases)) {
    if (!wanted(call, settings.cases)) continue
    const { operations, requests } = await able(contestants, call, toArguments, before)
    results[call] = await measureInTurns(operations, { ...settings, ...overrides[call], before, after })
    for (const name in requests) results[call][name].requests = requests[name]
    process.stderr.write(`  ${kind} ${call}\n`)
  }
  return results
}

const results = kind === 's3' ? await runS3() : await runFs()
process.stdout.write(`${JSON.stringify(results)}\n`, () => process.exit())
