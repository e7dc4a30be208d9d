import { createServer } from 'node:net'
import { attempt, errorCode, mark } from '../outcome.mjs'

/** A port that refuses connections. */
async function deadEndpoint() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

/** A port that takes connections and never answers. */
async function silentEndpoint() {
  const server = createServer(() => {})
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${server.address().port}`
}

const changed = (server, options) => ({ ...server, options: { ...server.options, ...options } })

async function causes(contestant, server) {
  const code = async (changes) => {
    const storage = await contestant.s3(changed(server, changes))
    const { error, late } = await attempt(() => storage.read('missing.txt'), 90_000)
    if (late) return 'never'
    // flystorage says it in a field of its own.
    return error.wasFileNotFound === true ? 'wasFileNotFound' : errorCode(error)
  }
  const missing = await code({})
  const wrongKey = await code({ secretAccessKey: 'wrong'.repeat(8) })
  const dead = await code({ endpoint: await deadEndpoint() })
  const kinds = new Set([missing, wrongKey, dead]).size
  const fact =
    kinds === 1
      ? `\`${missing}\` for all`
      : [missing, wrongKey, dead].map((each) => `\`${each.replace('flystorage.', '')}\``).join(' ')
  return mark(kinds === 3, kinds === 2, fact)
}

const CAP = 100_000

async function silence(contestant, server) {
  const endpoint = await silentEndpoint()
  const seconds = async (options) => {
    const storage = await contestant.s3(changed(server, { endpoint }), options)
    const start = performance.now()
    const { error, value, late } = await attempt(() => storage.read('a.txt'), CAP)
    if (value) throw new Error('the silent server has answered')
    return late || !error ? undefined : Math.round((performance.now() - start) / 1000)
  }
  const [usual, set] = await Promise.all([seconds({}), seconds({ timeout: 5000 })])
  const chosen = set === undefined ? 'never with the option' : `${set} s with 5 s set`
  return mark(
    usual !== undefined,
    set !== undefined,
    usual === undefined ? `never by default; ${chosen}` : `${usual} s; ${chosen}`,
  )
}

export const trials = [
  {
    id: 'causes',
    title: 'Code for a missing file, a wrong key, a dead host',
    on: 'r2',
    run: ({ contestant, server }) => causes(contestant, server),
  },
  {
    id: 'silence',
    title: 'A server that takes the connection and is silent',
    on: 'r2',
    limit: CAP + 20_000,
    alongside: true,
    run: ({ contestant, server }) => silence(contestant, server),
  },
]
