export { FileSystemStorage, type FileSystemStorageOptions } from './backends/filesystem.js'
export { MemoryStorage, type MemoryStorageOptions } from './backends/memory.js'
export {
  ConfigurationError,
  type DeleteFailure,
  DeleteManyError,
  type ErrorContext,
  FileExistsError,
  FileNotFoundError,
  InvalidNameError,
  isStorageError,
  Problem,
  StorageError,
  type StorageErrorCode,
  UploadRejectedError,
} from './errors.js'
export { sanitizeFilename } from './names.js'
export {
  aiSpeechPath,
  chatUploadPath,
  documentPath,
  type Id,
  userAvatarPath,
  voiceNotePath,
} from './paths.js'
export { Storage } from './storage.js'
export { type DeliveredRange, type OpenBody, StoredFile } from './stored-file.js'
export type * from './types.js'
export { chatUploadRules } from './uploads.js'
