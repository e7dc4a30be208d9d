import { defaultStorage, documentPath } from 'stowage'

const name = await defaultStorage.save(documentPath(42, 'Meeting notes.txt'), 'Ship it.')
console.log(name) // documents/42/Meeting_notes.txt
console.log(defaultStorage.url(name)) // /uploads/documents/42/Meeting_notes.txt

const file = await defaultStorage.open(name)
console.log(file.contentType, file.size, await file.text()) // text/plain 8 Ship it.

await defaultStorage.delete(name)
