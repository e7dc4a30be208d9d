import type { Command } from 'commander'
import type { FileInfo } from '../../index.js'
import { examples, type Run } from '../command.js'
import { printable } from '../printable.js'
import { bytesText, timeText } from '../units.js'

/** `stowage stat NAME…` */
export function addStat(program: Command, run: Run): void {
  program
    .command('stat')
    .summary('show all about files')
    .description('Shows size, type, time of the last write in UTC, ETag, headers and metadata of files.')
    .argument('<name...>', 'the names of the files')
    .addHelpText(
      'after',
      examples('stowage stat documents/42/report.pdf', 'stowage stat --json a.txt b.txt | jq .size'),
    )
    .action(
      run(async (cli, names: string[]) => {
        const storage = await cli.storage()
        let isFirst = true
        const look = (name: string) => storage.stat(name, { signal: cli.signal })
        return cli.lookUp(names, look, async (_, info) => {
          await cli.terminal.record(info, ...(isFirst ? [] : ['']), ...linesOf(info))
          isFirst = false
        })
      }),
    )
}

function linesOf({ name, size, contentType, lastModified, etag, metadata, ...headers }: FileInfo): string[] {
  const exact = size < 1024 ? '' : ` (${size} bytes)`
  const fields: [string, string | undefined][] = [
    ['name', name],
    ['size', bytesText(size) + exact],
    ['type', contentType],
    ['modified', timeText(lastModified)],
    ['etag', etag],
    ['cache-control', headers.cacheControl],
    ['content-disposition', headers.contentDisposition],
    ['content-language', headers.contentLanguage],
    ['content-encoding', headers.contentEncoding],
    ...Object.entries(metadata).map(([key, value]): [string, string] => [`metadata ${key}`, value]),
  ]
  const shown = fields.filter((field): field is [string, string] => field[1] !== undefined)
  const width = Math.max(...shown.map(([label]) => label.length)) + 1
  return shown.map(([label, value]) => `${`${label}:`.padEnd(width)} ${printable(value)}`)
}
