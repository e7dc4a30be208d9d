import type { Command } from 'commander'
import { examples, type Run } from '../command.js'
import { countText, toSeconds } from '../units.js'

interface SweepFlags {
  readonly olderThan?: number
}

/** `stowage sweep` */
export function addSweep(program: Command, run: Run): void {
  program
    .command('sweep')
    .summary('remove what crashes have left')
    .description(
      'Removes temporary files, sidecars, open uploads, probes and placeholders that crashes have left. No file that can be read is touched.',
    )
    .option(
      '--older-than <time>',
      'their least age, more than the longest save takes; default: 7d',
      toSeconds,
    )
    .addHelpText('after', examples('stowage sweep', 'stowage sweep --older-than 2d'))
    .action(
      run(async (cli, { olderThan }: SweepFlags) => {
        const { sweep } = await import('../../index.js')
        const storage = await cli.storage()
        cli.doneSoFar = () => 'some leftovers may be removed; the same command goes on from there'
        const { removed } = await sweep(storage, { olderThan, signal: cli.signal })
        await cli.terminal.record({ removed }, `removed ${countText(removed, 'leftover')} of crashes`)
        return undefined
      }),
    )
}
