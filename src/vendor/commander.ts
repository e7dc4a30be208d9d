/** The parser of the command line. */
export { Command, CommanderError } from 'commander'
