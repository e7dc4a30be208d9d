import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { S3Request } from '../../src/testing/local-r2/request.js'
import { verifySignature } from '../../src/testing/local-r2/sigv4.js'

/**
 * The worked examples of AWS's own documentation ("Signature Calculations for the Authorization Header: Transferring
 * Payload in a Single Chunk" and "Authenticating Requests: Using Query Parameters"), so that the judge is itself judged.
 */
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
}
const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'
const nowMs = Date.parse('2013-05-24T00:00:00Z')
const ofNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

function verify(
  method: string,
  url: string,
  signature: string,
  payloadHash: string,
  headers: Record<string, string>,
) {
  const all: Record<string, string> = {
    Host: 'examplebucket.s3.amazonaws.com',
    'x-amz-date': '20130524T000000Z',
    'x-amz-content-sha256': payloadHash,
    ...headers,
  }
  const names = Object.keys(all).map((name) => name.toLowerCase())
  all.Authorization = `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${names.sort().join(';')},Signature=${signature}`
  return verifySignature(requestOf(method, url, all), credentials, nowMs)
}

function requestOf(method: string, url: string, headers: Record<string, string>): S3Request {
  const incoming = new IncomingMessage(new Socket())
  Object.assign(incoming, { method, url, rawHeaders: Object.entries(headers).flat() })
  return new S3Request(incoming)
}

it.each<[string, string, string, string, string, Record<string, string>]>([
  [
    'GET Object',
    'GET',
    '/test.txt',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ofNothing,
    { Range: 'bytes=0-9' },
  ],
  [
    'PUT Object',
    'PUT',
    '/test$file.text',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
    { Date: 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
  ],
  [
    'GET Bucket lifecycle',
    'GET',
    '/?lifecycle',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ofNothing,
    {},
  ],
  [
    'GET Bucket',
    'GET',
    '/?max-keys=2&prefix=J',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ofNothing,
    {},
  ],
])('agrees with the example %s', (_, method, url, signature, payloadHash, headers) => {
  expect(verify(method, url, signature, payloadHash, headers)).toBe(payloadHash)
  const wrong = signature.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))
  expect(() => verify(method, url, wrong, payloadHash, headers)).toThrow('does not match')
})

it('agrees with the example of a presigned URL', () => {
  const query = [
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    `X-Amz-Credential=${scope.replaceAll('/', '%2F')}`,
    'X-Amz-Date=20130524T000000Z',
    'X-Amz-Expires=86400',
    'X-Amz-SignedHeaders=host',
    'X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  ]
  const request = requestOf('GET', `/test.txt?${query.join('&')}`, { Host: 'examplebucket.s3.amazonaws.com' })
  expect(verifySignature(request, credentials, nowMs + 86_400_000)).toBe('UNSIGNED-PAYLOAD')
  expect(() => verifySignature(request, credentials, nowMs + 86_400_001)).toThrow('Request has expired')
})
