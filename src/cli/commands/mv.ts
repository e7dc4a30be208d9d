import type { Command } from 'commander'
import type { Run } from '../command.js'
import { addCopyCommand } from '../two-storages.js'

/** `stowage mv FROM TO` */
export function addMv(program: Command, run: Run): void {
  addCopyCommand(program, run, {
    name: 'mv',
    summary: 'move a file',
    description:
      'Moves a file with its type, headers and metadata, and prints the name that it got. Between two storages the source is deleted once the copy is complete.',
    move: true,
  })
}
