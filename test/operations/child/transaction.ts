/** Replaces a document as an application does: a row in SQLite and its file. Kills itself before one of the steps. */
import { fileURLToPath } from 'node:url'
import sqlite from 'node-sqlite3-wasm'
import { FileSystemStorage, undoable } from '../../../src/index.js'

/** What it does, in order. */
export const STEPS = [
  'the transaction',
  'the save',
  'the row',
  'the delete',
  'the commit of the database',
  'the commit of the files',
  'the end',
] as const

async function main(database: string, location: string, killBefore: number): Promise<void> {
  const storage = new FileSystemStorage({ location })
  const db = new sqlite.Database(database)
  db.exec('CREATE TABLE documents (name TEXT NOT NULL)')
  db.run('INSERT INTO documents VALUES (?)', [await storage.save('old.txt', 'old')])
  const files = undoable(storage)
  const work: Record<(typeof STEPS)[number], () => unknown> = {
    'the transaction': () => db.exec('BEGIN'),
    'the save': () => files.save('new.txt', 'new'),
    'the row': () => db.run('UPDATE documents SET name = ?', ['new.txt']),
    'the delete': () => files.delete('old.txt'),
    'the commit of the database': () => db.exec('COMMIT'),
    'the commit of the files': () => files.commit(),
    'the end': () => {},
  }
  for (const [index, step] of STEPS.entries()) {
    if (index === killBefore) process.kill(process.pid, 'SIGKILL')
    await work[step]()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , database = '', location = '', step = ''] = process.argv
  await main(database, location, Number(step))
}
