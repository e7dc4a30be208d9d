/** A real browser for tests. Nothing is downloaded: it is the system's Chromium. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']

const executable = (process.env.PATH ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find(isExecutable)

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Whether there is a Chromium: for `describe.skipIf(!chromiumInstalled())`. Says why the tests are left out;
 * `STOWAGE_REQUIRE_CHROMIUM=1` fails the run instead.
 */
export function chromiumInstalled(): boolean {
  if (executable !== undefined) return true
  const reason =
    'Chromium is not installed: its tests are not run; on Debian and Ubuntu: apt-get install chromium'
  if (process.env.STOWAGE_REQUIRE_CHROMIUM === '1') {
    throw new Error(`STOWAGE_REQUIRE_CHROMIUM=1, but ${reason}`)
  }
  console.log(reason)
  return false
}

/** Starts Chromium. It reaches loopback addresses only, whatever a page asks for. The caller closes it. */
export async function launchChromium(): Promise<Browser> {
  if (executable === undefined) throw new Error('Chromium is not installed')
  return await chromium.launch({
    executablePath: executable,
    // Root may not use the sandbox.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      // Names and literal addresses alike.
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]',
      '--no-proxy-server',
      '--disable-dev-shm-usage',
      // Sound is to play without a click.
      '--autoplay-policy=no-user-gesture-required',
      // Recording needs no microphone and asks nobody.
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ],
  })
}
