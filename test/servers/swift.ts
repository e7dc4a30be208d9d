/**
 * OpenStack Swift with its S3 API, for tests: a server that answers 501 to `If-None-Match` on a PUT, as many OpenStack
 * clouds do. One node, one replica, everything in one folder and on loopback, on ports of its own. Nothing outlives the
 * process that started it: `stop()` kills the daemons, and where it is not called the kernel does (`setpriv --pdeathsig`).
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Swift {
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Kills the daemons, waits until they are gone and removes their folder. */
  stop(): Promise<void>
}

/** Debian's packages that bring {@link programs} and Swift's hash secret. */
export const swiftPackages = 'swift-proxy swift-account swift-container swift-object memcached'
const kinds = ['account', 'container', 'object'] as const
const programs = [
  ...[...kinds, 'proxy'].map((kind) => `swift-${kind}-server`),
  ...['swift-ring-builder', 'memcached', 'setpriv', 'python3'],
]
/** Swift reads its hash secret from here and nowhere else. */
const secretFile = '/etc/swift/swift.conf'
const user = 'test:tester'
const password = 'testing'
/** A start takes 5 s on an idle machine: this only ends one that hangs. */
const startLimitMs = 120_000

export function swiftInstalled(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const has = (program: string) => folders.some((folder) => permits(join(folder, program), constants.X_OK))
  return programs.every(has) && permits(secretFile, constants.R_OK) && storeRoot() !== undefined
}

/** A folder on a file system that keeps extended attributes, which Swift needs. */
function storeRoot(): string | undefined {
  return [tmpdir(), '/var/tmp'].find((folder) => {
    const probe = mkdtempSync(join(folder, 'stowage-swift-probe-'))
    try {
      const set = 'import os, sys; os.setxattr(sys.argv[1], "user.stowage", b"1")'
      execFileSync('python3', ['-c', set, probe], { stdio: 'ignore' })
      return true
    } catch {
      return false
    } finally {
      rmSync(probe, { recursive: true })
    }
  })
}

/** @throws Error with the end of the daemons' logs, when Swift does not come up. */
export async function startSwift(): Promise<Swift> {
  const root = storeRoot()
  if (root === undefined) throw new Error('no temporary folder keeps extended attributes')
  const folder = mkdtempSync(join(root, 'stowage-swift-'))
  const children: ChildProcess[] = []
  const kill = () => {
    for (const child of children) child.kill('SIGKILL')
  }
  const stop = async () => {
    kill()
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  try {
    const [proxy, memcached, ...servers] = await freePorts(5)
    for (const name of ['etc', 'srv/d1']) await mkdir(join(folder, name), { recursive: true })
    const start = (name: string, ...command: string[]) => {
      const output = openSync(join(folder, `${name}.log`), 'a')
      children.push(
        spawn('setpriv', ['--pdeathsig', 'KILL', ...command], { stdio: ['ignore', output, output] }),
      )
      closeSync(output)
    }
    await Promise.all(kinds.map((kind, index) => prepare(folder, kind, servers[index] ?? 0)))
    await writeFile(join(folder, 'etc', 'proxy-server.conf'), proxyConfiguration(folder, proxy, memcached))
    start('memcached', 'memcached', '-u', userInfo().username, '-l', '127.0.0.1', '-p', String(memcached))
    for (const kind of [...kinds, 'proxy']) {
      start(kind, `swift-${kind}-server`, join(folder, 'etc', `${kind}-server.conf`))
    }
    const endpoint = `http://127.0.0.1:${proxy}`
    await answers(`${endpoint}/info`)
    return { endpoint, region: 'us-east-1', accessKeyId: user, secretAccessKey: password, stop }
  } catch (error) {
    const logs = (await readdir(folder)).filter((name) => name.endsWith('.log'))
    const ends = logs.map(
      async (name) => `${name}: ${(await readFile(join(folder, name), 'utf8')).slice(-500)}`,
    )
    const reason = [error, ...(await Promise.all(ends))].join('\n')
    await stop()
    throw new Error(`Swift did not start: ${reason}`)
  }
}

/** Makes ring and configuration of one of the three servers behind the proxy. */
async function prepare(folder: string, kind: string, port: number): Promise<void> {
  const builder = (...args: string[]) =>
    execFileSync('swift-ring-builder', [`${kind}.builder`, ...args], { cwd: join(folder, 'etc') })
  builder('create', '6', '1', '1')
  builder('add', `r1z1-127.0.0.1:${port}/d1`, '1')
  builder('rebalance')
  await writeFile(
    join(folder, 'etc', `${kind}-server.conf`),
    `[DEFAULT]
${common(folder, port)}
devices = ${folder}/srv
mount_check = false
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
`,
  )
}

function proxyConfiguration(folder: string, port: number, memcached: number): string {
  return `[DEFAULT]
${common(folder, port)}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${memcached}
[filter:tempauth]
use = egg:swift#tempauth
user_${user.replace(':', '_')} = ${password} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
`
}

/** No workers: a process that forks would leave its children when it is killed. */
function common(folder: string, port: number): string {
  return `bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
user = ${userInfo().username}
swift_dir = ${folder}/etc
log_level = WARNING`
}

async function answers(url: string): Promise<void> {
  const limit = AbortSignal.timeout(startLimitMs)
  for (;;) {
    const response = await fetch(url, { signal: limit }).catch(() => null)
    await response?.body?.cancel()
    if (response?.ok) return
    limit.throwIfAborted()
    await sleep(50)
  }
}

/** Ports that are free now. All are held until all are known, so that they differ. */
async function freePorts(count: number): Promise<[number, number, ...number[]]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(async (server) => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      if (address === null || typeof address !== 'object') throw new Error('a server without a port')
      return address.port
    }),
  )
  for (const server of servers) server.close()
  const [first, second, ...others] = ports
  if (first === undefined || second === undefined) throw new Error('two ports at least')
  return [first, second, ...others]
}

function permits(file: string, mode: number): boolean {
  try {
    accessSync(file, mode)
    return true
  } catch {
    return false
  }
}
