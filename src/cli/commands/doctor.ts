import type { Command } from 'commander'
import type { CheckResult, Storage } from '../../index.js'
import { CheckReport } from '../check-report.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { EXIT, type ExitCode, exitCodeOf } from '../exit-code.js'

interface DoctorFlags {
  readonly quiet?: boolean
  readonly origin?: string
}

/** `stowage doctor` */
export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .summary('find out why it does not work')
    .description(
      'Tries everything that an application needs of a storage, and says what is wrong and what to do. Writes into a new folder of its own, and removes it again.',
    )
    .option('-q, --quiet', 'problems only')
    .option('--origin <origin>', 'try an upload as a page of https://app.example.com does it')
    .addHelpText(
      'after',
      examples(
        'stowage doctor',
        'stowage doctor --origin https://app.example.com',
        'stowage doctor --storage r2:chat-files --quiet',
      ),
    )
    .action(
      run(async (cli, { quiet = false, origin }: DoctorFlags) => {
        const { diagnose, diagnoseEnvironment } = await import('../../index.js')
        const report = new CheckReport(cli.terminal, quiet)
        if (!cli.hasAddress) for (const result of diagnoseEnvironment(process.env)) await report.add(result)
        const [cause] = report.failed
        if (cause !== undefined) {
          await report.end()
          return EXIT.failed
        }
        const storage = await cli.storage()
        for await (const result of diagnose(storage, { origin, signal: cli.signal })) await report.add(result)
        await report.end()
        return codeOf(cli, storage, report.failed)
      }),
    )
}

/** Whether something is missing, or not allowed, is told apart where it is the one cause. */
async function codeOf(
  { signal }: Cli,
  storage: Storage,
  [cause, ...others]: readonly CheckResult[],
): Promise<ExitCode> {
  if (cause === undefined) return EXIT.ok
  if (others.length > 0) return EXIT.failed
  if (cause.check === 'keys' || cause.check === 'credentials') return EXIT.notAuthorised
  if (cause.check !== 'bucket' && cause.check !== 'root') return EXIT.failed
  const { isStorageError } = await import('../../index.js')
  try {
    await storage.exists('stowage-doctor', { signal })
  } catch (error) {
    const code = isStorageError(error) ? exitCodeOf(error.code) : EXIT.failed
    if (code === EXIT.missing || code === EXIT.notAuthorised) return code
  }
  return EXIT.failed
}
