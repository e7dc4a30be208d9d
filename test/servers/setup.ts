/** Runs once before all tests: starts Ceph where it is installed, for tests that `inject('ceph')`. */
import type { TestProject } from 'vitest/node'
import { type CephKeys, cephInstalled, cephPackages, startCeph } from './ceph.js'

declare module 'vitest' {
  export interface ProvidedContext {
    /** The S3 gateway of this run, or null where Ceph is not installed or switched off. */
    ceph: CephKeys | null
    /** The same for a user who may do only what a bucket's policy grants. */
    cephGuest: CephKeys | null
  }
}

/**
 * `STOWAGE_CEPH=off` leaves Ceph out; `STOWAGE_REQUIRE_CEPH=1` fails the run where it cannot be used.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const reason = whyNot()
  if (reason !== undefined) {
    if (process.env.STOWAGE_REQUIRE_CEPH === '1') throw new Error(`STOWAGE_REQUIRE_CEPH=1, but ${reason}`)
    console.log(reason)
    project.provide('ceph', null)
    project.provide('cephGuest', null)
    return undefined
  }
  const { endpoint, accessKeyId, secretAccessKey, guest, stop } = await startCeph()
  project.provide('ceph', { endpoint, accessKeyId, secretAccessKey })
  project.provide('cephGuest', guest)
  return stop
}

function whyNot(): string | undefined {
  if (process.env.STOWAGE_CEPH === 'off')
    return 'Ceph is switched off (STOWAGE_CEPH=off): its tests are not run.'
  if (cephInstalled()) return undefined
  return `Ceph is not installed: its tests are not run; on Debian and Ubuntu: apt-get install ${cephPackages}`
}
