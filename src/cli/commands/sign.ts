import type { Command } from 'commander'
import type { IfExists, SignedUpload, Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, ifExistsOption, type Run } from '../command.js'
import { usage } from '../failure.js'
import { printable } from '../printable.js'
import { timeText, toBytes, toSeconds } from '../units.js'

interface SignOptions {
  readonly expires: string
  readonly download?: string | true
  readonly put?: boolean
  readonly size?: string
  readonly type?: string
  readonly ifExists?: IfExists
}

/** `stowage sign NAME` */
export function addSign(program: Command, run: Run): void {
  program
    .command('sign')
    .summary('print an address that expires')
    .description(
      'Prints a private address: anyone who has it can read the file until it expires. With --put: an address that takes one upload of exactly this size and type, and the headers to send with it.',
    )
    .argument('<name>', 'the name of the file')
    .option('--expires <time>', 'how long the address works, up to 7d', '1h')
    .option(
      '--download [filename]',
      'browsers save the file, under this name or its own; write it after NAME',
    )
    .option('--put', 'for an upload')
    .option('--size <bytes>', 'with --put: the exact size, such as 5MB or 1048576')
    .option('--type <type>', 'with --put: the content type; default: by the extension')
    .addOption(ifExistsOption(program, 'with --put: '))
    .addHelpText(
      'after',
      examples(
        'stowage sign documents/42/report.pdf --expires 2h',
        'stowage sign documents/42/report.pdf --download "Report 2026.pdf"',
        'stowage sign photos/1.png --put --size 48213 --type image/png',
      ),
    )
    .action(
      run(async (cli, name: string, options: SignOptions) => {
        const expiresIn = toSeconds(options.expires)
        if (options.put) await signUpload(cli, name, expiresIn, options)
        else await signDownload(cli, name, expiresIn, options)
        return undefined
      }),
    )
}

async function signDownload(cli: Cli, name: string, expiresIn: number, options: SignOptions): Promise<void> {
  const { size, type, ifExists } = options
  if ((size ?? type ?? ifExists) !== undefined) throw usage('--size, --type and --if-exists go with --put')
  const storage = await storageToSign(cli)
  const url = await storage.signedUrl(name, { expiresIn, download: options.download, signal: cli.signal })
  const expiresAt = new Date(Date.now() + expiresIn * 1000)
  await cli.terminal.record({ name, method: 'GET', url, expiresAt }, url)
  sayWhoAnswers(cli, storage)
}

async function signUpload(cli: Cli, name: string, expiresIn: number, options: SignOptions): Promise<void> {
  if (options.download !== undefined) throw usage('--download does not go with --put')
  if (options.size === undefined) throw usage('--put needs --size: the exact size of the file, such as 48213')
  const storage = await storageToSign(cli)
  const upload = await storage.signedUpload(name, {
    size: toBytes(options.size),
    contentType: options.type ?? '', // By the extension.
    expiresIn,
    ifExists: options.ifExists,
    signal: cli.signal,
  })
  const headers = Object.entries(upload.headers).map(([header, value]) => `${header}: ${value}`)
  await cli.terminal.record(upload, upload.url, ...headers.map(printable))
  if (cli.terminal.isInteractive) {
    cli.terminal.say(`\nTo upload ${printable(upload.name)} until ${timeText(upload.expiresAt)} UTC:`)
    cli.terminal.say(curlLine(upload))
  }
  sayWhoAnswers(cli, storage)
}

/** A line for a shell. */
function curlLine({ url, headers, name }: SignedUpload): string {
  const fields = Object.entries(headers).map(([header, value]) => ` -H ${quoted(`${header}: ${value}`)}`)
  return `curl --fail-with-body -T ${quoted(`./${name.slice(name.lastIndexOf('/') + 1)}`)}${fields.join('')} ${quoted(url)}`
}

function quoted(text: string): string {
  return `'${printable(text).replaceAll("'", `'\\''`)}'`
}

/** Addresses of the disk are answered by the application, and only if both have the same secret. */
async function storageToSign(cli: Cli): Promise<Storage> {
  const storage = await cli.storage()
  if (isLocal(storage) && !process.env.STORAGE_SIGNING_SECRET?.trim()) {
    throw usage(
      'nobody could use the address: set STORAGE_SIGNING_SECRET to the secret of the application that answers it',
    )
  }
  return storage
}

function isLocal(storage: Storage): boolean {
  return /^(?:FileSystem|Memory)Storage\b/.test(String(storage))
}

function sayWhoAnswers({ terminal }: Cli, storage: Storage): void {
  if (!isLocal(storage)) return
  terminal.say(
    'note: the application has to answer this address, by createFileHandler and with the same STORAGE_SIGNING_SECRET',
  )
}
