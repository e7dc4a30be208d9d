import type { StrictR2 } from '../../src/testing/local-r2/server.js'

/** The strict stand-in for R2 with the switches of our own tests. Applications get it as `startLocalR2`. */
export type { Answer, Behaviour, Faults, RequestInfo, Verdict } from '../../src/testing/local-r2/behaviour.js'
export { patternChunks } from '../../src/testing/local-r2/content.js'
export type { LoggedRequest } from '../../src/testing/local-r2/exchange.js'
export { Bucket, type StoredObject } from '../../src/testing/local-r2/object-store.js'
export { type StrictR2, type StrictR2Options, startStrictR2 } from '../../src/testing/local-r2/server.js'

/** The options that tell a storage what it knows of R2 by the endpoint otherwise. */
export const AS_R2 = { conditionalCompletion: true, conditionalCopy: true } as const

/** The options of a storage on this server, besides the bucket. */
export function optionsOf({ endpoint, accessKeyId, secretAccessKey, sessionToken }: StrictR2) {
  return { endpoint, accessKeyId, secretAccessKey, sessionToken }
}
