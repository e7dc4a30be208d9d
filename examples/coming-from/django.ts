/** Habits of Django, written for stowage. */
import {
  createStorage,
  defaultStorage,
  documentPath,
  prefixed,
  type Storage,
  sanitizeFilename,
  undoable,
} from 'stowage'

/** Stands for a table of your database. */
export interface Documents {
  insert(row: { room: number; file: string }): Promise<void>
  find(room: number): Promise<{ file: string }>
  update(room: number, file: string): Promise<void>
}

// #region upload-to
/** `upload_to='documents/%Y/%m'` */
export function uploadTo(filename: string, now = new Date()): string {
  const [year, month] = now.toISOString().split('-')
  return `documents/${year}/${month}/${sanitizeFilename(filename)}`
}
// #endregion

export async function fileField(documents: Documents, room: number, upload: File): Promise<string> {
  // #region file-field
  const name = await defaultStorage.save(documentPath(room, upload.name), upload)
  await documents.insert({ room, file: name }) // the column of a FileField holds this name, never an address

  const row = await documents.find(room)
  const url = await defaultStorage.signedUrl(row.file) // row.file.url
  // #endregion
  return url
}

export async function replace(documents: Documents, room: number, upload: File): Promise<void> {
  // #region replace
  const { file: before } = await documents.find(room)
  const unit = undoable(defaultStorage)
  try {
    await documents.update(room, await unit.save(documentPath(room, upload.name), upload))
    await unit.delete(before) // waits for the commit
  } catch (error) {
    await unit.rollback()
    throw error
  }
  await unit.commit()
  // #endregion
}

// #region storages
/** STORAGES = { 'default': …, 'backups': …, 'thumbnails': … } */
export const storages = {
  backups: createStorage('fs:./backups'),
  thumbnails: prefixed(defaultStorage, 'thumbnails'),
} satisfies Record<string, Storage>
// #endregion
