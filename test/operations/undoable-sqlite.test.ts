import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import sqlite from 'node-sqlite3-wasm'
import { FileSystemStorage, orphans } from 'stowage'
import { it } from 'vitest'
import { newFolder } from '../integration/child/folders.js'
import { STEPS } from './child/transaction.js'

const CHILD = fileURLToPath(new URL('./child/transaction.ts', import.meta.url))

/** Replaces a document in a process that kills itself before a step. Returns what is left. */
async function killedBefore(step: number) {
  const folder = await newFolder()
  const database = join(folder, 'app.db')
  const location = join(folder, 'uploads')
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, database, location, String(step)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const [code, signal] = await once(child, 'close')
  // A dead process cannot give its lock back: the folder is how this SQLite locks.
  if (existsSync(`${database}.lock`)) rmSync(`${database}.lock`, { recursive: true })
  using db = Object.assign(new sqlite.Database(database), {
    [Symbol.dispose]: () => db.close(),
  })
  const rows = db.all('SELECT name FROM documents').map(({ name }) => String(name))
  const storage = new FileSystemStorage({ location })
  const lost: string[] = []
  for (const name of rows) if (!(await storage.exists(name))) lost.push(name)
  const left: string[] = []
  const known = (names: string[]) => names.filter((name) => rows.includes(name))
  for await (const { name } of orphans(storage, known, { olderThan: 0 })) left.push(name)
  return { code, signal, errors, rows, lost, left }
}

it.each(STEPS.map((step, index) => [step, index] as const))(
  'loses no file that a row refers to when it is killed before: %s',
  async (step, index) => {
    const { code, signal, errors, rows, lost, left } = await killedBefore(index)
    assert.deepEqual([code, signal], [null, 'SIGKILL'], errors)
    assert.deepEqual(lost, [])
    const isCommitted = index > STEPS.indexOf('the commit of the database')
    assert.deepEqual(rows, isCommitted ? ['new.txt'] : ['old.txt'])
    const isSaved = index > STEPS.indexOf('the save')
    const isDone = step === 'the end'
    assert.deepEqual(left, isDone ? [] : isCommitted ? ['old.txt'] : isSaved ? ['new.txt'] : [])
  },
)
