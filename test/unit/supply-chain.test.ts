/** The packages that an installation brings along. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'vitest'

interface Locked {
  readonly version?: string
  readonly integrity?: string
  readonly resolved?: string
  readonly hasInstallScript?: boolean
  readonly dev?: boolean
  readonly optional?: boolean
  readonly os?: readonly string[]
}

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const lockText = read('package-lock.json')
const { packages }: { packages: Record<string, Locked> } = JSON.parse(lockText)
const locked = Object.entries(packages).filter(([path]) => path !== '')
const runtime = locked.filter(([, { dev }]) => dev !== true)

it('no package that is installed along runs a script', () => {
  assert.ok(runtime.length > 10 && runtime.length < 150, `${runtime.length} packages`)
  assert.deepEqual(
    runtime.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path),
    [],
  )
  const { scripts } = JSON.parse(read('package.json'))
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare'])
    assert.equal(scripts[hook], undefined)
})

it('every package is pinned by its hash, except the tools’ builds for other systems', () => {
  const unpinned = locked.filter(([, { integrity }]) => !integrity?.startsWith('sha512-'))
  assert.deepEqual(
    unpinned.filter(([, { dev, optional, os }]) => !(dev && optional && os)).map(([path]) => path),
    [],
  )
})

it('the lock file names no registry, so that everybody installs from their own', () => {
  assert.deepEqual(
    locked.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path),
    [],
  )
  const addresses = lockText.match(/"(?:https?|git\+\w+|ssh|file):[^"]*"/g) ?? []
  // Where to support the authors of a package.
  const funding = JSON.stringify(locked.map(([, each]) => Reflect.get(each, 'funding') ?? null))
  assert.deepEqual(
    addresses.filter((address) => !funding.includes(address)),
    [],
  )
})

it('is published with its provenance', () => {
  assert.deepEqual(JSON.parse(read('package.json')).publishConfig, { access: 'public', provenance: true })
})
