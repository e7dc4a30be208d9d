/** A bundle of its own (tsup.config.ts), loaded with the first `allowedTypes`: CommonJS cannot `require` it elsewhere. */
export { fileTypeFromBuffer } from 'file-type'
