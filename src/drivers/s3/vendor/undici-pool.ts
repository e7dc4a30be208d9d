/** A bundle of its own (tsup.config.ts): `import('undici')` takes three times as long and as much memory. */
export { default as buildConnector } from 'undici/lib/core/connect.js'
export { default as Pool } from 'undici/lib/dispatcher/pool.js'
