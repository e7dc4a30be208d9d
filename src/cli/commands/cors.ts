import type { Command } from 'commander'
import type { CorsRule } from '../../index.js'
import { bucketOf } from '../bucket.js'
import { examples, type Run } from '../command.js'
import { usage } from '../failure.js'
import { printable } from '../printable.js'

interface CorsFlags {
  readonly set?: readonly string[]
  readonly header?: readonly string[]
}

/** `stowage cors` */
export function addCors(program: Command, run: Run): void {
  program
    .command('cors')
    .summary('let pages upload straight to the bucket')
    .description(
      'Shows which pages of other origins may use the bucket, and whether a rule fits uploads from browsers. --set writes such a rule; rules of others stay as they are.',
    )
    .option('--set <origins...>', 'origins of the pages that upload, such as https://app.example.com')
    .option('--header <names...>', 'further request headers, such as x-amz-meta-user')
    .addHelpText(
      'after',
      examples('stowage cors', 'stowage cors --set https://app.example.com http://localhost:3000'),
    )
    .action(
      run(async (cli, { set: origins, header: headers }: CorsFlags) => {
        if (headers !== undefined && origins === undefined) throw usage('--header goes with --set')
        const storage = await bucketOf(cli, 'CORS rules')
        const { terminal, signal } = cli
        if (origins !== undefined) await storage.setCors({ origins, headers, signal })
        const rules = await storage.getCors({ signal })
        for (const rule of rules) {
          const lacks = lacksForUploads(rule)
          const fits = lacks.length === 0
          await terminal.record({ ...rule, fitsUploads: fits, lacks }, ...linesOf(rule), verdictOf(lacks))
        }
        if (rules.length === 0) {
          terminal.say(`${storage} has no CORS rules: browsers cannot upload to it; --set writes one`)
        }
        if (origins !== undefined) terminal.say('it may take half a minute until the server applies it')
        return undefined
      }),
    )
}

/** Headers that a signed upload always sends. */
const HEADERS = ['content-type', 'if-none-match']

/** What a rule lacks for uploads from browsers: methods, headers, and `ETag` for uploads in parts. */
function lacksForUploads({ methods, headers, exposedHeaders }: CorsRule): string[] {
  const has = (values: readonly string[], wanted: string) => {
    return values.some((value) => value === '*' || value.toLowerCase() === wanted.toLowerCase())
  }
  return [
    ...['PUT'].filter((method) => !has(methods, method)).map((method) => `the method ${method}`),
    ...HEADERS.filter((header) => !has(headers, header)).map((header) => `the header ${header}`),
    ...(has(exposedHeaders, 'ETag') ? [] : ['the exposed header ETag']),
  ]
}

function linesOf({ origins, methods, headers, exposedHeaders }: CorsRule): string[] {
  const list = (values: readonly string[]) => printable(values.join(', ')) || 'none'
  return [
    list(origins),
    `  methods: ${list(methods)}`,
    `  headers: ${list(headers)}`,
    `  exposed: ${list(exposedHeaders)}`,
  ]
}

function verdictOf(lacks: readonly string[]): string {
  return lacks.length === 0
    ? '  fits uploads from browsers'
    : `  does not fit uploads: lacks ${lacks.join(', ')}`
}
