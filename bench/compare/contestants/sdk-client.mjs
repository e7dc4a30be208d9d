import { S3Client } from '@aws-sdk/client-s3'

/**
 * Makes the AWS SDK client for every contestant that takes one. Cloudflare recommends these checksum settings for R2. `timeout` adds the three settings that end a request; without it they are the SDK's own defaults.
 */
export function newClient({ options: { endpoint, region = 'auto', accessKeyId, secretAccessKey } }, timeout) {
  return new S3Client({
    endpoint,
    region,
    credentials: { accessKeyId, secretAccessKey },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    ...(timeout && {
      requestHandler: {
        connectionTimeout: timeout,
        requestTimeout: timeout,
        socketTimeout: timeout,
        throwOnRequestTimeout: true,
      },
    }),
  })
}
