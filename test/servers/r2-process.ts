import { startStrictR2 } from './r2.js'

/**
 * The stand-in as a process of its own, for tests that measure memory or kill it: `node --import tsx r2-process.ts
 * '{"discardBodiesOver":0}'`. Prints one line of JSON with the address and keys; stops when stdin ends or on SIGTERM.
 */
const options = JSON.parse(process.argv[2] ?? '{}')
const server = await startStrictR2(options)
const { endpoint, region, accessKeyId, secretAccessKey, sessionToken } = server
const buckets = [...server.buckets.keys()]
console.log(JSON.stringify({ endpoint, region, accessKeyId, secretAccessKey, sessionToken, buckets }))

const stop = () => {
  void server.stop().then(() => process.exit(0))
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
process.stdin.once('end', stop).once('error', stop).resume()
