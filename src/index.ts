export { FileSystemStorage, type FileSystemStorageOptions } from './backends/filesystem.js'
export { MemoryStorage, type MemoryStorageOptions } from './backends/memory.js'
export { R2Storage } from './backends/r2.js'
export {
  type R2StorageOptions,
  type S3CommonOptions,
  type S3Credentials,
  S3Storage,
  type S3StorageOptions,
  type StaleUploadsOptions,
} from './backends/s3.js'
export type { Body } from './content.js'
export { createDefaultStorage, defaultStorage, type Environment, setDefaultStorage } from './default.js'
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
  type Rejection,
  StorageError,
  type StorageErrorCode,
  type StorageErrorInit,
  UploadRejectedError,
} from './errors.js'
export type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
} from './hooks.js'
export type { Attributes } from './metadata.js'
export {
  type MigrateFailure,
  type MigrateOptions,
  type MigrateProgress,
  type MigrateResult,
  migrate,
} from './migrate.js'
export { compareNames, type Folder, type Name, sanitizeFilename } from './names.js'
export {
  aiSpeechPath,
  chatUploadPath,
  documentPath,
  type Id,
  userAvatarPath,
  voiceNotePath,
} from './paths.js'
export { resolveRange } from './ranges.js'
export { Storage } from './storage.js'
export { type DeliveredRange, type OpenBody, StoredFile } from './stored-file.js'
export type * from './types.js'
export { chatUploadRules } from './uploads.js'
