/** The progress bar of the command line, and the width of a text in columns, which it uses itself. */
export { SingleBar } from 'cli-progress'
export { default as stringWidth } from 'string-width'
