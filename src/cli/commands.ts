import type { Command } from 'commander'
import type { AddCommand, Run } from './command.js'
import { addCat } from './commands/cat.js'
import { addCompare } from './commands/compare.js'
import { addCors } from './commands/cors.js'
import { addCp } from './commands/cp.js'
import { addDoctor } from './commands/doctor.js'
import { addDu } from './commands/du.js'
import { addExpire } from './commands/expire.js'
import { addGet } from './commands/get.js'
import { addLifecycle } from './commands/lifecycle.js'
import { addLs } from './commands/ls.js'
import { addMigrate } from './commands/migrate.js'
import { addMirror } from './commands/mirror.js'
import { addMv } from './commands/mv.js'
import { addPut } from './commands/put.js'
import { addRm } from './commands/rm.js'
import { addSign } from './commands/sign.js'
import { addStat } from './commands/stat.js'
import { addSweep } from './commands/sweep.js'
import { addUrl } from './commands/url.js'
import { addWarm } from './commands/warm.js'

const COMMANDS: readonly AddCommand[] = [
  addPut,
  addGet,
  addCat,
  addLs,
  addStat,
  addUrl,
  addSign,
  addRm,
  addCp,
  addMv,
  addMigrate,
  addMirror,
  addCompare,
  addDu,
  addDoctor,
  addCors,
  addLifecycle,
  addExpire,
  addSweep,
  addWarm,
]

export function addCommands(program: Command, run: Run): void {
  program
    .description('File storage on Cloudflare R2, any S3 server or the disk.')
    .option(
      '--storage <address>',
      'fs:./folder, r2:bucket or s3:bucket?endpoint=…; default: the environment’s',
    )
    .option('--env-file <file>', 'read variables from a file, such as .env')
    .option('--json', 'one JSON line a record, for programs')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 12 })
    .showSuggestionAfterError()
  for (const add of COMMANDS) add(program, run)
  program.addHelpText(
    'after',
    '\nExit codes: 0 ok, 1 missing, 2 the storage failed, 3 not authorised, 4 conflict,\n64 usage, 130 interrupted.',
  )
}
