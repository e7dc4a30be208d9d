/** What processes have written. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StrictR2 } from '../servers/r2.js'

/** Waits until a screen shows something, for half a minute. */
export async function seen(screen: () => string, pattern: RegExp): Promise<void> {
  for (let tries = 0; !pattern.test(screen()); tries++) {
    if (tries === 1500) throw new Error(`this does not show ${pattern}: ${screen()}`)
    await sleep(20)
  }
}

/** The variables of a server's first bucket. */
export function environmentOf({ endpoint, accessKeyId, secretAccessKey, sessionToken }: StrictR2) {
  return {
    R2_ENABLED: '1',
    R2_ACCESS_KEY_ID: accessKeyId,
    R2_SECRET_ACCESS_KEY: secretAccessKey,
    R2_BUCKET_NAME: 'test-bucket',
    R2_ENDPOINT_URL: endpoint,
    ...(sessionToken === undefined ? {} : { R2_SESSION_TOKEN: sessionToken }),
  }
}
