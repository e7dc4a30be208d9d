/**
 * Storages, what can be done with them, and their errors.
 *
 * @module stowage
 */

export { FileSystemStorage, type FileSystemStorageOptions } from './backends/filesystem.js'
export { MemoryStorage, type MemoryStorageOptions } from './backends/memory.js'
export { R2Storage } from './backends/r2.js'
export {
  type CorsOptions,
  type LifecycleOptions,
  S3Storage,
  type StaleUploadsOptions,
} from './backends/s3.js'
export type { Check, CheckOutcome, CheckRequest, CheckResult, CheckStatus } from './checks.js'
export { type CloudflarePurgeOptions, cloudflarePurge } from './cloudflare-purge.js'
export type { Body, Chunk, Content } from './content.js'
export { createDefaultStorage, createStorage, type Environment } from './create-storage.js'
export { defaultStorage, setDefaultStorage } from './default.js'
export { diagnoseEnvironment } from './diagnose-environment.js'
export type {
  Entry,
  FileState,
  OpenedFile,
  Place,
  ReadRequest,
  RemoveFailure,
  ScanRequest,
  SignedAddress,
  SignedGrant,
  SignedRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
  StorageDriver,
} from './driver.js'
export type { Addressing } from './drivers/s3/address.js'
export type { CorsRule, LifecycleRule } from './drivers/s3/bucket-config.js'
export type {
  R2StorageOptions,
  S3CommonOptions,
  S3Credentials,
  S3StorageOptions,
} from './drivers/s3/options.js'
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
  type ProblemDetails,
  type Rejection,
  StorageError,
  type StorageErrorCode,
  type StorageErrorInit,
  UploadRejectedError,
} from './errors.js'
export { defaultExpiry, type ExpiryRule } from './expiry-rules.js'
export { sanitizeFilename } from './filenames.js'
export { compareNames, type Folder, type Name } from './names.js'
export { type Cost, type MonthlyCost, type MonthlyTraffic, monthlyCost } from './operations/cost.js'
export { type DiagnoseOptions, diagnose } from './operations/diagnose.js'
export {
  type ExpiredRule,
  type ExpireFailure,
  type ExpireOptions,
  type ExpireResult,
  expire,
} from './operations/expire.js'
export { type IsReferenced, type OrphansOptions, orphans } from './operations/orphans.js'
export { type SweepOptions, type SweepResult, sweep } from './operations/sweep.js'
export { type UndoableUnit, undoable } from './operations/undoable.js'
export {
  type MonthlyUsage,
  type NamedUsage,
  type Usage,
  type UsageCount,
  type UsageOptions,
  usage,
} from './operations/usage.js'
export {
  type WarmedFile,
  type WarmFailure,
  type WarmOptions,
  type WarmResult,
  warm,
} from './operations/warm.js'
export {
  aiSpeechPath,
  chatUploadPath,
  documentPath,
  type Id,
  userAvatarPath,
  voiceNotePath,
} from './paths.js'
export { resolveRange } from './ranges.js'
export { driverOf, Storage } from './storage.js'
export { type Bytes, type DeliveredRange, type OpenBody, StoredFile } from './stored-file.js'
export type { Tee } from './tee.js'
export type { OperationEvent } from './telemetry.js'
export { type Compared, type CompareOptions, compare } from './transfer/compare.js'
export type { MigrateFailure } from './transfer/failures.js'
export {
  type MigrateOptions,
  type MigrateProgress,
  type MigrateResult,
  migrate,
} from './transfer/migrate.js'
export { type MirrorOptions, type MirrorProgress, type MirrorResult, mirror } from './transfer/mirror.js'
export type { TransferOptions } from './transfer/plan.js'
export type { Shard } from './transfer/shard.js'
export type * from './types.js'
export {
  type CompletedUpload,
  type CompleteUploadRequest,
  type CreateUploadRequest,
  noSuchUpload,
  type PartAddress,
  type PartGrant,
  type PartReceiver,
  partReplaced,
  type SignPartRequest,
  type StorePartRequest,
  type UploadDriver,
  type UploadedPart,
  type UploadRequest,
} from './upload-driver.js'
export { chatUploadRules } from './uploads.js'
export { prefixed } from './wrappers/prefixed.js'
export { readOnly } from './wrappers/read-only.js'
export { readThrough } from './wrappers/read-through.js'
