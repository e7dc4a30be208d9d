import { deleteObjects } from './bulk-delete.js'
import type { Operation } from './call.js'
import { copyObject } from './copy.js'
import { headerNotImplemented, S3Error } from './errors.js'
import { listObjects, listObjectsV2 } from './listing.js'
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  uploadPart,
  uploadPartCopy,
} from './multipart.js'
import { deleteObject, getObject, headBucket, headObject, overridable, putObject } from './objects.js'
import type { S3Request } from './request.js'
import { deleteSetting, getSetting, putSetting, type Setting } from './settings.js'
import { listMultipartUploads, listParts } from './upload-listing.js'

interface Route {
  readonly operation: string
  readonly method: string
  readonly on: 'bucket' | 'object'
  /** Query parameters that make it this operation. */
  readonly needs?: readonly string[]
  /** Query parameters it may have besides. */
  readonly allows?: readonly string[]
  /** Whether x-amz-copy-source makes it this operation. */
  readonly copies?: true
  /** The x-amz-*, cf-* and conditional headers it implements. */
  readonly headers?: RegExp
  /** Whether the operation reads the body itself. */
  readonly readsBody?: true
  readonly run: Operation
}

const conditional = 'if-(?:none-)?match|if-(?:un)?modified-since'
const written = 'x-amz-meta-[^ ]+|x-amz-storage-class|x-amz-acl'

/** R2 has no ACLs. It ignores the two that clients send most ("no longer rejected", release notes of 2022-11-30). */
const ignoredAcls = new Set(['private', 'public-read'])

/** What the SDK sends where the body must have a digest. */
const checksums = /^x-amz-checksum-crc32$|^x-amz-sdk-checksum-algorithm$/

/** The three operations on a setting of a bucket. */
function settings(setting: Setting, name: string): Route[] {
  const on = 'bucket'
  const needs = [setting]
  const put = name === 'Lifecycle' ? 'PutBucketLifecycleConfiguration' : `PutBucket${name}`
  return [
    {
      operation: put.replace('Put', 'Get'),
      method: 'GET',
      on,
      needs,
      run: (call) => getSetting(call, setting),
    },
    {
      operation: put,
      method: 'PUT',
      on,
      needs,
      headers: checksums,
      readsBody: true,
      run: (call) => putSetting(call, setting),
    },
    {
      operation: `DeleteBucket${name}`,
      method: 'DELETE',
      on,
      needs,
      run: (call) => deleteSetting(call, setting),
    },
  ]
}

/** First match counts, so the narrower ones come first. */
const routes: readonly Route[] = [
  { operation: 'HeadBucket', method: 'HEAD', on: 'bucket', run: headBucket },
  {
    operation: 'ListObjectsV2',
    method: 'GET',
    on: 'bucket',
    needs: ['list-type'],
    allows: [
      'continuation-token',
      'delimiter',
      'encoding-type',
      'fetch-owner',
      'max-keys',
      'prefix',
      'start-after',
    ],
    run: listObjectsV2,
  },
  {
    operation: 'ListMultipartUploads',
    method: 'GET',
    on: 'bucket',
    needs: ['uploads'],
    allows: ['delimiter', 'encoding-type', 'key-marker', 'max-uploads', 'prefix', 'upload-id-marker'],
    run: listMultipartUploads,
  },
  ...settings('lifecycle', 'Lifecycle'),
  ...settings('cors', 'Cors'),
  {
    operation: 'ListObjects',
    method: 'GET',
    on: 'bucket',
    // The last is refused by name.
    allows: ['delimiter', 'encoding-type', 'marker', 'max-keys', 'prefix', 'continuation-token'],
    run: listObjects,
  },
  {
    operation: 'DeleteObjects',
    method: 'POST',
    on: 'bucket',
    needs: ['delete'],
    headers: checksums,
    readsBody: true,
    run: deleteObjects,
  },
  {
    operation: 'ListParts',
    method: 'GET',
    on: 'object',
    needs: ['uploadId'],
    allows: ['max-parts', 'part-number-marker'],
    run: listParts,
  },
  {
    operation: 'GetObject',
    method: 'GET',
    on: 'object',
    allows: ['partNumber', ...overridable],
    headers: new RegExp(`^(?:${conditional})$`),
    run: getObject,
  },
  {
    operation: 'HeadObject',
    method: 'HEAD',
    on: 'object',
    allows: ['partNumber'],
    headers: new RegExp(`^(?:${conditional})$`),
    run: headObject,
  },
  {
    operation: 'UploadPartCopy',
    method: 'PUT',
    on: 'object',
    needs: ['partNumber', 'uploadId'],
    copies: true,
    headers: /^x-amz-copy-source(?:-range)?$/,
    readsBody: true,
    run: uploadPartCopy,
  },
  {
    operation: 'UploadPart',
    method: 'PUT',
    on: 'object',
    needs: ['partNumber', 'uploadId'],
    readsBody: true,
    run: uploadPart,
  },
  {
    operation: 'CopyObject',
    method: 'PUT',
    on: 'object',
    copies: true,
    headers: new RegExp(
      `^(?:x-amz-copy-source(?:-(?:${conditional}))?|x-amz-metadata-directive|cf-copy-destination-(?:${conditional})|${written})$`,
    ),
    readsBody: true,
    run: copyObject,
  },
  {
    operation: 'PutObject',
    method: 'PUT',
    on: 'object',
    headers: new RegExp(`^(?:${conditional}|${written})$`),
    readsBody: true,
    run: putObject,
  },
  {
    operation: 'CreateMultipartUpload',
    method: 'POST',
    on: 'object',
    needs: ['uploads'],
    headers: new RegExp(`^(?:${conditional}|${written})$`),
    readsBody: true,
    run: createMultipartUpload,
  },
  {
    operation: 'CompleteMultipartUpload',
    method: 'POST',
    on: 'object',
    needs: ['uploadId'],
    headers: new RegExp(`^(?:${conditional})$`),
    readsBody: true,
    run: completeMultipartUpload,
  },
  {
    operation: 'AbortMultipartUpload',
    method: 'DELETE',
    on: 'object',
    needs: ['uploadId'],
    run: abortMultipartUpload,
  },
  {
    operation: 'DeleteObject',
    method: 'DELETE',
    on: 'object',
    headers: /^x-amz-if-match-last-modified-time$/,
    run: deleteObject,
  },
]

/** Bucket operations that R2 has but an object token may not use. */
const bucketOwnerOnly: Readonly<Record<string, string>> = { PUT: 'CreateBucket', DELETE: 'DeleteBucket' }

/** S3's name for what is asked, also when it is not implemented. */
export function operationOf(
  request: S3Request,
  bucket: string,
  key: string,
  names: ReadonlySet<string>,
): string {
  if (bucket === '') return 'ListBuckets'
  const owner = key === '' ? bucketOwnerOnly[request.method] : undefined
  return (
    routeOf(request, key, names)?.operation ?? owner ?? `${request.method}${key === '' ? 'Bucket' : 'Object'}`
  )
}

/** The operation to run, or the refusal: AccessDenied, or NotImplemented for whatever is not on its list. */
export function checkedRoute(
  request: S3Request,
  bucket: string,
  key: string,
  names: ReadonlySet<string>,
  moreHeaders: readonly string[],
): Route {
  const route = routeOf(request, key, names)
  const isOwners = key === '' && route === undefined && bucketOwnerOnly[request.method] !== undefined
  if (bucket === '' || isOwners) throw new S3Error('AccessDenied', 'Access Denied')
  if (route === undefined) {
    throw new S3Error('NotImplemented', `${operationOf(request, bucket, key, names)} not implemented`)
  }
  const known = new Set(['x-id', ...(route.needs ?? []), ...(route.allows ?? [])])
  for (const name of names) {
    if (known.has(name) || (request.isPresigned && signatureParameters.has(name))) continue
    throw new S3Error('NotImplemented', `${route.operation} search parameter ${name} not implemented`)
  }
  const acl = request.header('x-amz-acl')
  if (acl !== undefined && !ignoredAcls.has(acl) && !moreHeaders.includes('x-amz-acl'))
    throw headerNotImplemented('x-amz-acl', acl)
  const guarded = new RegExp(`^x-amz-|^cf-|^(?:${conditional})$`)
  for (const [name, value] of request.headers) {
    if (!guarded.test(name) || requestHeaders.has(name) || moreHeaders.includes(name)) continue
    if (!route.headers?.test(name)) {
      throw headerNotImplemented(name, value)
    }
  }
  return route
}

/** The query parameters that carry the signature of a presigned request. */
const signatureParameters = new Set([
  'X-Amz-Algorithm',
  'X-Amz-Content-Sha256',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-Security-Token',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
])

const requestHeaders = new Set([
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-user-agent',
])

function routeOf(request: S3Request, key: string, names: ReadonlySet<string>): Route | undefined {
  const on = key === '' ? 'bucket' : 'object'
  const copies = request.header('x-amz-copy-source') !== undefined
  return routes.find(
    (route) =>
      route.method === request.method &&
      route.on === on &&
      (route.copies === true) === copies &&
      (route.needs ?? []).every((name) => names.has(name)),
  )
}
