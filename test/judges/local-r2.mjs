/** Cloudflare's own local R2, with one bucket. Prints its address; stops when stdin ends. Needs Node 22. */
import { Miniflare } from 'miniflare'

const [bucket, accessKeyId, secretAccessKey] = process.argv.slice(2)
const miniflare = new Miniflare({
  modules: true,
  script: 'export default { fetch() { return new Response() } }',
  host: '127.0.0.1',
  port: 0,
  r2Buckets: { BUCKET: { id: bucket, s3Credentials: { accessKeyId, secretAccessKey } } },
})
console.log(new URL('/cdn-cgi/local/r2/s3', await miniflare.ready).href)
process.stdin.once('end', () => void miniflare.dispose().then(() => process.exit(0))).resume()
