/**
 * A one-node Ceph cluster with its S3 gateway, for tests: a second, independent judge of the S3 backend.
 *
 * Everything lives in one folder below the temporary folder and on loopback, with data in memory. Ports and
 * keys are new for each cluster, so that any number of them run side by side. Nothing outlives the process
 * that started it, however that ends: `stop()` kills the daemons, an exit does the same, and after a SIGKILL
 * the kernel does (`setpriv --pdeathsig`); the folder that remains then is removed by the next start.
 *
 * By hand: `npx tsx test/servers/ceph.ts` prints endpoint, keys and process ids as JSON and runs until Ctrl-C.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, closeSync, constants, openSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** What a client needs: path-style requests to `endpoint`, any region. */
export interface CephKeys {
  endpoint: string
  accessKeyId: string
  secretAccessKey: string
}

export interface Ceph extends CephKeys {
  /** Keys of another user, `guest`, who may do only what a bucket's policy grants. */
  guest: CephKeys
  /** The daemons' process ids. */
  pids: number[]
  /** Kills the daemons, waits until they are gone and removes their folder. */
  stop(): Promise<void>
}

/** Debian's packages that bring {@link programs}. No manager daemon: nothing here needs one. */
export const cephPackages = 'ceph-mon ceph-osd ceph-common radosgw'
const programs = ['ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin', 'setpriv']
const folderPrefix = 'stowage-ceph-'
/** A start takes 2 s on an idle machine: this only ends one that hangs. */
const startLimitMs = 120_000
/** What the store may hold, in bytes; memory is taken as data comes. */
const defaultStoreBytes = 8 * 2 ** 30

export function cephInstalled(): boolean {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return programs.every((program) => folders.some((folder) => isExecutable(join(folder, program))))
}

/** @throws Error with the end of the daemons' logs, when the cluster does not come up. */
export async function startCeph(): Promise<Ceph> {
  await removeAbandonedFolders()
  for (let attempt = 1; ; attempt++) {
    try {
      return await startCluster()
    } catch (error) {
      // A free port may be taken by another program before the daemon binds it.
      if (attempt === 3) throw error
    }
  }
}

async function startCluster(): Promise<Ceph> {
  const folder = await mkdtemp(join(tmpdir(), `${folderPrefix}${process.pid}-`))
  const daemons = new Daemons(folder)
  try {
    const keys = await bringUp(folder, daemons)
    const stop = async () => {
      if (daemons.broken) console.error(await daemons.explain())
      await daemons.stop()
    }
    return { ...keys, pids: daemons.pids, stop }
  } catch (error) {
    const reason = await daemons.explain(error)
    await daemons.stop()
    throw new Error(`Ceph did not start (STOWAGE_CEPH=off leaves it out): ${reason}`)
  }
}

async function bringUp(folder: string, daemons: Daemons): Promise<CephKeys & Pick<Ceph, 'guest'>> {
  const [monitorPort, gatewayPort] = await freePorts()
  const clusterId = randomUUID()
  const osdId = randomUUID()
  const monmap = join(folder, 'monmap')
  const endpoint = `http://127.0.0.1:${gatewayPort}`
  const [owner, guest] = [newKeys(endpoint), newKeys(endpoint)]
  await writeFile(join(folder, 'ceph.conf'), configuration(folder, clusterId, gatewayPort))
  for (const data of ['mon', 'osd', 'rgw']) await mkdir(join(folder, data))

  const monitor = `[v1:127.0.0.1:${monitorPort}]`
  await daemons.run('monmaptool', '--create', '--addv', 'a', monitor, '--fsid', clusterId, monmap)
  await daemons.run('ceph-mon', '--id', 'a', '--mkfs')
  daemons.start('ceph-mon', '-f', '--id', 'a')
  await daemons.run('ceph-osd', '--id', '0', '--mkfs', '--osd-uuid', osdId)
  await daemons.run('ceph', 'osd', 'new', osdId)
  await daemons.run('ceph', 'osd', 'crush', 'add', 'osd.0', '1', 'root=default', 'host=a')
  daemons.start('ceph-osd', '-f', '--id', '0')
  const addUser = (name: string, { accessKeyId, secretAccessKey }: CephKeys) => {
    const options = ['--display-name', name, '--access-key', accessKeyId, '--secret', secretAccessKey]
    return daemons.run('radosgw-admin', 'user', 'create', '--uid', name, ...options)
  }
  await addUser('test', owner)
  await addUser('guest', guest)
  daemons.start('radosgw', '-f', '--name', 'client.rgw')
  await daemons.answers(endpoint)
  return { ...owner, guest }
}

function newKeys(endpoint: string): CephKeys {
  const accessKeyId = randomBytes(10).toString('hex')
  return { endpoint, accessKeyId, secretAccessKey: randomBytes(20).toString('hex') }
}

function configuration(folder: string, clusterId: string, gatewayPort: number): string {
  const storeBytes = Number(process.env.STOWAGE_CEPH_BYTES ?? defaultStoreBytes)
  // No `mon host`: with `monmap` the daemons know the cluster's id from the start. The OSD's own commands to
  // the monitor at its start are off, because they race with learning that id ("wrong fsid", and it aborts).
  return `
[global]
fsid = ${clusterId}
monmap = ${folder}/monmap
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr2 = false
ms crc data = false
auth cluster required = none
auth service required = none
auth client required = none
paxos propose interval = 0.02
paxos min wait = 0.01
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd crush update on start = false
osd class update on start = false
osd objectstore = memstore
memstore device bytes = ${storeBytes}
run dir = ${folder}
crash dir = ${folder}
keyring = ${folder}/keyring
mon data = ${folder}/mon
osd data = ${folder}/osd
rgw data = ${folder}/rgw
log file = ${folder}/$type.log
pid file =
admin socket =
[client.rgw]
# Without tcp_nodelay every small GET waits 40 ms for the client's delayed acknowledgement.
rgw frontends = beast endpoint=127.0.0.1:${gatewayPort} tcp_nodelay=1
# Buckets in host names below this one. An IP address as the host means that the bucket is in the path, as here.
rgw dns name = localhost
# Half the memory and time of the default's 4 MiB.
rgw max chunk size = 16777216
rgw obj stripe size = 16777216
# Deleted data is memory: give it back after seconds, not hours.
rgw gc obj min wait = 30
rgw gc processor period = 10
`
}

/** The processes of one cluster. When a daemon ends by itself, whatever is awaited here rejects. */
class Daemons {
  readonly #folder: string
  readonly #children: ChildProcess[] = []
  readonly #ended: Promise<void>[] = []
  readonly #broken = new AbortController()
  readonly #limit = setTimeout(() => this.#broken.abort(`not ready after ${startLimitMs} ms`), startLimitMs)
  readonly #onExit = () => this.#killAndRemove()

  constructor(folder: string) {
    this.#folder = folder
    process.once('exit', this.#onExit)
  }

  get pids(): number[] {
    return this.#children.flatMap((child) => child.pid ?? [])
  }

  /** Whether one of them has ended by itself. */
  get broken(): boolean {
    return this.#broken.signal.aborted
  }

  /** Runs a command to its end. */
  async run(command: string, ...args: string[]): Promise<void> {
    const [code] = await once(this.#spawn(command, args, command, this.#broken.signal), 'exit')
    if (code !== 0) throw new Error(`${command} ended: ${code}`)
  }

  /** Starts a daemon, which goes on in the background. */
  start(daemon: string, ...args: string[]): void {
    const child = this.#spawn('setpriv', ['--pdeathsig', 'KILL', daemon, ...args], daemon)
    this.#children.push(child)
    const ended = once(child, 'exit').then(
      ([code, signal]) => this.#broken.abort(`${daemon} ended: ${signal ?? code}`),
      (error) => this.#broken.abort(error),
    )
    this.#ended.push(ended)
  }

  /** Resolves when the gateway answers, which ends the start. */
  async answers(endpoint: string): Promise<void> {
    const { signal } = this.#broken
    for (;;) {
      const response = await fetch(endpoint, { signal }).catch(() => null)
      await response?.body?.cancel()
      if (response?.ok) break
      signal.throwIfAborted()
      await sleep(50)
    }
    clearTimeout(this.#limit)
  }

  /** Why something failed: what broke it, and how the output of each program begins (a stack trace may follow). */
  async explain(error?: unknown): Promise<string> {
    const { aborted, reason } = this.#broken.signal
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith('.out'))
    const beginnings = names.map(async (name) => {
      const lines = (await readFile(join(this.#folder, name), 'utf8')).split('\n').filter(Boolean)
      return lines.slice(0, 8).map((line) => `\n${name}: ${line}`)
    })
    return [aborted ? reason : error, ...(await Promise.all(beginnings)).flat()].join('')
  }

  async stop(): Promise<void> {
    clearTimeout(this.#limit)
    process.off('exit', this.#onExit)
    this.#kill()
    await Promise.all(this.#ended)
    await rm(this.#folder, { recursive: true, force: true })
  }

  #spawn(command: string, args: string[], name: string, signal?: AbortSignal): ChildProcess {
    const output = openSync(join(this.#folder, `${name}.out`), 'a')
    const env = { ...process.env, CEPH_CONF: join(this.#folder, 'ceph.conf'), CEPH_ARGS: '' }
    try {
      return spawn(command, args, { env, signal, stdio: ['ignore', output, output] })
    } finally {
      closeSync(output)
    }
  }

  /** Not SIGTERM: on an orderly end the store would first write its memory to disk. */
  #kill(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }

  /** `stop` for the end of this process, where nothing can be awaited. */
  #killAndRemove(): void {
    this.#kill()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Two ports that are free now. Both are held until both are known, so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()] as const
  const listen = (server: (typeof servers)[number]) =>
    new Promise<number>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('a server without a port'))
      })
    })
  const ports: [number, number] = [await listen(servers[0]), await listen(servers[1])]
  for (const server of servers) server.close()
  return ports
}

/** Removes the folders of processes that were killed: their daemons died with them. */
async function removeAbandonedFolders(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = /^stowage-ceph-(\d+)-/.exec(name)?.[1]
    if (owner === undefined || isRunning(Number(owner))) continue
    // Another user's folder stays.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Whether a process runs. One that has ended, but was not yet collected by its parent, does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { stop, ...facts } = await startCeph()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
  console.log(JSON.stringify(facts))
}
