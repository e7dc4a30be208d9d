// Every night, by cron: 0 4 * * * node --env-file=.env nightly.js
import sqlite from 'node-sqlite3-wasm' // or better-sqlite3, or node:sqlite
import { defaultExpiry, defaultStorage, expire, orphans, sweep } from 'stowage'

const database = new sqlite.Database(process.env.DATABASE ?? 'chat.db')

/** Which of up to 1,000 names the database knows. */
function known(names: string[]): string[] {
  const marks = names.map(() => '?').join()
  return database
    .all(`SELECT file FROM documents WHERE file IN (${marks})`, names)
    .map(({ file }) => String(file))
}

for await (const { name } of orphans(defaultStorage, known, { prefix: 'documents' })) {
  await defaultStorage.delete(name)
  console.log('deleted, nobody knows it:', name)
}
const { deleted } = await expire(defaultStorage, defaultExpiry) // documents 90, voice_notes 30, tmp 7 days
const { removed } = await sweep(defaultStorage) // what crashes left
console.log(`${deleted} expired, ${removed} left by crashes`)
database.close()
