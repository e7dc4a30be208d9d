/** A bundle of its own (tsup.config.ts), loaded with the first form. */
export { Dicer } from '@fastify/busboy'
