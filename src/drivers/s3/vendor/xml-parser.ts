/** A bundle of its own (tsup.config.ts), loaded with the first XML. */
export { Parser } from 'htmlparser2'
