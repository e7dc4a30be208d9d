import type { Command } from 'commander'
import type { Run } from '../command.js'
import { addCopyCommand } from '../two-storages.js'

/** `stowage cp FROM TO` */
export function addCp(program: Command, run: Run): void {
  addCopyCommand(program, run, {
    name: 'cp',
    summary: 'copy a file',
    description: 'Copies a file with its type, headers and metadata, and prints the name that the copy got.',
    move: false,
  })
}
