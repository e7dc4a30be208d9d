// The results of a run as tables: as text for the terminal, and as Markdown for RESULTS.md and docs/performance.md.
import { NAMES, ratio } from './figures.mjs'
import { median } from './rounds.mjs'

/** The tables as `{ title, head, rows }`. Both forms are made of them. */
function tablesOf(results) {
  const { s3, fs, fsSingle, up, down, list, deleteMany, start, plan } = results
  const mib = Math.round(plan.streamBytes / 2 ** 20)
  return [
    s3 &&
      small(
        'S3, 16 KiB objects, 16 at a time: CPU of the client, µs an operation (× the floor)',
        s3,
        'cpu',
        NAMES,
      ),
    s3 && small('S3, the same: time, µs an operation (× the floor)', s3, 'wall', NAMES),
    fs &&
      small(
        'Filesystem, 16 KiB files, 16 at a time: time, µs an operation (× the system calls)',
        fs,
        'wall',
        FS_NAMES,
      ),
    fs && small('Filesystem, the same: CPU, µs an operation (× the system calls)', fs, 'cpu', FS_NAMES),
    fsSingle &&
      small(
        'Filesystem, one at a time: time, µs an operation (× the system calls)',
        fsSingle,
        'wall',
        FS_NAMES,
      ),
    up && once(`Stream up, ${mib} MiB of unknown length, one at a time in a fresh process`, up),
    down && once(`Stream down, ${mib} MiB`, down),
    list && once(`list of ${plan.listed.toLocaleString('en')} names`, list),
    deleteMany && once(`deleteMany of ${plan.deleted.toLocaleString('en')} names`, deleteMany),
    start && starts(start),
    {
      title: 'The figures to reach',
      head: ['figure', 'must', 'aim', 'measured'],
      rows: results.verdicts.map(({ row, must, aim, measured }) => [row, must, aim || '–', measured]),
    },
  ].filter(Boolean)
}

const FS_NAMES = {
  save: 'save, free name, fsync off',
  saveOver: 'save, overwrite, fsync off',
  saveDurable: 'save, free name, fsync on',
  open: 'open+bytes',
  exists: 'exists',
}

function small(title, results, metric, titles) {
  const calls = Object.keys(titles).filter((call) => results[call])
  const names = [...new Set(calls.flatMap((call) => Object.keys(results[call])))]
  const cell = (call, name) => {
    const own = results[call][name]
    if (!own) return '–'
    const value = median(own[metric]).toFixed(0)
    return name === 'floor'
      ? value
      : `${value} (${ratio(own[metric], results[call].floor[metric]).toFixed(2)})`
  }
  return {
    title,
    head: ['', ...calls.map((call) => titles[call])],
    rows: names.map((name) => [name, ...calls.map((call) => cell(call, name))]),
  }
}

function once(title, results) {
  const value = (numbers, digits) => median(numbers).toFixed(digits)
  return {
    title,
    head: ['', 'CPU ms', '× floor', 'time ms', '× floor', 'RSS growth MiB', 'requests'],
    rows: Object.entries(results).map(([name, { cpu, wall, rss, requests }]) => [
      name === '@aws-sdk' && title.startsWith('Stream up') ? '@aws-sdk/lib-storage' : name,
      value(cpu, 0),
      ratio(cpu, results.floor.cpu).toFixed(2),
      value(wall, 0),
      ratio(wall, results.floor.wall).toFixed(2),
      value(rss, 0),
      value(requests, 0),
    ]),
  }
}

function starts(start) {
  const bare = median(start['node -e 0'].wall)
  return {
    title: 'Start of a process',
    head: ['', 'ms', 'ms over bare Node', 'modules loaded', 'of AWS'],
    rows: Object.entries(start).map(([name, { wall, modules, aws }]) => [
      name,
      median(wall).toFixed(0),
      (median(wall) - bare).toFixed(0),
      String(modules),
      String(aws),
    ]),
  }
}

function machineLine({ machine, rounds, quick }) {
  const { cpu, cores, memory, system, node, date, load } = machine
  return `${cpu}, ${cores} cores, ${memory}, ${system}, Node ${node}, ${date}; load ${load[0]} at the start; medians of ${rounds} rounds${quick ? ' (the quick run: too few for a verdict)' : ''}.`
}

function peersLine({ versions }) {
  return Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
}

export function toText(results) {
  const lines = ['', machineLine(results), peersLine(results), ...results.notes]
  for (const { title, head, rows } of tablesOf(results)) {
    const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column].length)))
    const line = (row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  ')
    lines.push('', title, line(head), ...rows.map(line))
  }
  return `${lines.join('\n')}\n`
}

/** All tables for RESULTS.md, or the main ones for docs/performance.md. */
export function toMarkdown(results, mainOnly = false) {
  const tables = tablesOf(results).filter(({ title }) => !mainOnly || MAIN.test(title))
  const lines = [machineLine(results), ...results.notes, `Peers: ${peersLine(results)}.`, '']
  for (const { title, head, rows } of tables) {
    const line = (row) => `| ${row.join(' | ')} |`
    const rule = `|${head.map((_, column) => (column === 0 ? '---' : '--:')).join('|')}|`
    lines.push(`**${title}**`, '', line(head), rule, ...rows.map((row) => line(bold(row))), '')
  }
  lines.push(
    mainOnly
      ? 'Run it with `npm run bench`. More tables are in [`bench/RESULTS.md`](../bench/RESULTS.md), how to read them is in [`bench/README.md`](../bench/README.md).'
      : 'Run it with `npm run bench`. How to read it is in [`README.md`](README.md).',
  )
  return `${lines.join('\n')}\n`
}

/** The tables that decide: CPU on S3, time on the filesystem, streams, the start. */
const MAIN = /^(S3, .*CPU|Filesystem, .*: time|Stream|Start)/

const bold = (row) => (row[0] === 'stowage' ? row.map((cell) => `**${cell}**`) : row)
