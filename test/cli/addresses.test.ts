/** What people type who know `aws s3`, `gsutil` or `rclone`. */
import assert from 'node:assert/strict'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, it } from 'vitest'
import { usePlace } from './program.js'

const place = usePlace()
beforeEach(() => writeFile(join(place.cwd, 'a.txt'), 'text'))

describe('an address in the place of a name', () => {
  it.each([
    ['ls s3://photos/2026', 's3://photos/2026 is an address: give --storage s3:photos and the name 2026'],
    ['put a.txt s3://photos/', 's3://photos/ is an address: give --storage s3:photos'],
    ['get R2://photos/a.txt', 'R2://photos/a.txt is an address: give --storage r2:photos and the name a.txt'],
    ['cp a.txt gs://photos/', 'gs://photos/ is an address: give the name of the file in the storage'],
    ['rm a.txt https://cdn.example.com/a.txt', 'https://cdn.example.com/a.txt is an address: give the name'],
    ['rm --prefix s3://photos --yes', 's3://photos is an address: give --storage s3:photos'],
    ['migrate --from fs:. --prefix s3://photos', 's3://photos is an address'],
    ['put a.txt r2:photos/', 'r2:photos/ looks like an address: give --storage r2:photos'],
    ['cp a.txt fs:backup/a.txt', 'a file of this name is ./fs:backup/a.txt'],
    ['migrate fs:./uploads r2:photos', 'Expected 0 arguments but got 2. Give --from and --to.'],
    ['ls --storage s3://photos', 'an address has no "//": write s3:bucket'],
  ])('refuses %s, and says what to give', async (command, sentence) => {
    const { code, stdout, stderr } = await place.run(command.split(' '))
    assert.deepEqual([code, stdout], [64, ''])
    assert.match(stderr, /^error: [^\n]+\n$/)
    assert.ok(stderr.includes(sentence), stderr)
    assert.deepEqual(await readdir(place.cwd), ['a.txt'])
  })

  it('takes a name that only looks like one after ./', async () => {
    const { stdout } = await place.run(['put', 'a.txt', './fs:backup/'])
    assert.equal(stdout, 'fs:backup/a.txt\n')
    assert.equal((await place.run(['cat', 'fs:backup/a.txt'])).stdout, 'text')
  })
})

describe('an option that has no meaning', () => {
  it.each([
    ['sign a.txt --if-exists error', '--size, --type and --if-exists go with --put'],
    ['cors --header x-amz-meta-user', '--header goes with --set'],
    ['cp --storage fs:a --from fs:b --to fs:c x y', '--storage stands for a missing --from or --to'],
    ['sign a.txt', 'set STORAGE_SIGNING_SECRET to the secret of the application'],
  ])('is refused in %s', async (command, sentence) => {
    const { code, stdout, stderr } = await place.run(command.split(' '))
    assert.deepEqual([code, stdout], [64, ''])
    assert.ok(stderr.includes(sentence), stderr)
  })
})

describe('a refused value', () => {
  const env = { STORAGE_SIGNING_SECRET: 'secret'.repeat(8) }
  it.each([
    ['sign a.txt --expires 8d', 'signedUrl "a.txt": --expires must be a time from 1s to 7d'],
    ['put a.txt a.txt --type nonsense', '--type must be a MIME type'],
    ['put a.txt a.txt --cache-control é', '--cache-control must be a header value'],
    ['migrate --to fs:b --concurrency 0', '--concurrency must'],
  ])('is told by the name of its option in %s', async (command, sentence) => {
    const { code, stderr } = await place.run(command.split(' '), { env })
    assert.equal(code, 64)
    assert.ok(stderr.includes(sentence), stderr)
  })
})

it('says in JSON that the command is missing', async () => {
  const { code, stdout, stderr } = await place.run(['--json'])
  assert.deepEqual([code, stdout], [64, ''])
  assert.equal(JSON.parse(stderr).error.code, 'Usage')
})
