/** A bundle of its own (tsup.config.ts), loaded with the first extension that is not common. */
export { lookup } from 'mime-types'
