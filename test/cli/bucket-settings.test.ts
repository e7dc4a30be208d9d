import assert from 'node:assert/strict'
import { CreateBucketCommand, PutBucketLifecycleConfigurationCommand, S3Client } from '@aws-sdk/client-s3'
import { S3Storage } from 'stowage'
import { describe, inject, it } from 'vitest'
import { seen } from './ended.js'
import { recordsOf, usePlace, useServer } from './program.js'

const place = usePlace()
const r2 = useServer()

const run = (command: string, more: Readonly<Record<string, string>> = {}) =>
  place.program.run(command.split(' '), { cwd: place.cwd, env: { ...r2.env, ...more } })
const { storage } = r2

describe('stowage cors', () => {
  it('writes the rule for uploads from browsers, and shows what it allows', async () => {
    const none = await run('cors')
    assert.deepEqual([none.code, none.stdout], [0, ''])
    assert.match(none.stderr, /R2Storage\(test-bucket\) has no CORS rules: .*--set/)
    const written = await run(
      'cors --set https://app.example.com http://localhost:3000 --header x-amz-meta-user',
    )
    assert.equal(written.code, 0)
    assert.match(
      written.stdout,
      /^https:\/\/app\.example\.com, http:\/\/localhost:3000\n {2}methods: GET, PUT, HEAD\n/,
    )
    assert.match(written.stdout, / {2}exposed: ETag\n {2}fits uploads from browsers\n$/)
    const [rule] = recordsOf((await run('cors --json')).stdout)
    assert.deepEqual([rule?.fitsUploads, rule?.lacks], [true, []])
    assert.deepEqual(await storage().getCors(), [
      {
        origins: rule?.origins,
        methods: rule?.methods,
        headers: rule?.headers,
        exposedHeaders: rule?.exposedHeaders,
      },
    ])
  })

  it('says what a rule of somebody else lacks', async () => {
    const rule =
      '<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader>'
    r2.server
      .bucket()
      .settings.set('cors', `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`)
    const shown = await run('cors')
    assert.match(shown.stdout, /does not fit uploads: lacks the method PUT, the exposed header ETag\n$/)
  })

  it('finds the bucket behind a folder that is read through to', async () => {
    assert.equal((await run('cors --set https://app.example.com', { R2_FALLBACK_ROOT: place.cwd })).code, 0)
    assert.equal((await storage().getCors()).length, 1)
  })
})

describe('stowage lifecycle', () => {
  it('shows the difference, and writes it with --yes', async () => {
    const dry = await run('lifecycle --default --dry-run')
    assert.deepEqual(
      [dry.code, dry.stdout, dry.stderr],
      [0, '+ documents: 90 days\n+ voice_notes: 30 days\n+ tmp: 7 days\n', 'nothing was changed\n'],
    )
    const unasked = await run('lifecycle --default')
    assert.deepEqual([unasked.code, unasked.stderr.includes('give --yes')], [64, true])
    assert.deepEqual(await storage().getLifecycle(), [])
    assert.equal((await run('lifecycle --default --yes')).code, 0)
    const changed = await run('lifecycle --rule documents=30 --rule tmp/=7 --yes --json')
    assert.deepEqual(recordsOf(changed.stdout), [
      { change: '=', prefix: 'voice_notes', days: 30 },
      { change: '-', prefix: 'documents', days: 90 },
      { change: '+', prefix: 'documents', days: 30 },
      { change: '=', prefix: 'tmp', days: 7 },
    ])
    const same = await run('lifecycle --rule documents=30')
    assert.deepEqual([same.code, same.stderr], [0, 'nothing to change\n'])
    const shown = await run('lifecycle')
    assert.deepEqual(shown.stdout.split('\n').sort(), [
      '',
      'documents: 30 days',
      'the whole bucket: unfinished uploads 7 days',
      'tmp: 7 days',
      'voice_notes: 30 days',
    ])
  })

  it('shows what a rule of others is for and does', async () => {
    const filter = '<And><Prefix>old/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And>'
    const action = '<Transition><Days>9</Days><StorageClass>GLACIER</StorageClass></Transition>'
    const rule = `<Rule><ID>cold</ID><Filter>${filter}</Filter><Status>Disabled</Status>${action}</Rule>`
    r2.server.bucket().settings.set('lifecycle', `<LifecycleConfiguration>${rule}</LifecycleConfiguration>`)
    const shown = await run('lifecycle')
    assert.equal(shown.stdout, 'old/: Transition, Tag, switched off (rule "cold" of another program)\n')
  })

  it('shows rules of others, and takes only its own away', async () => {
    const theirs =
      '<Rule><ID>their &#x202e;</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule>'
    r2.server.bucket().settings.set('lifecycle', `<LifecycleConfiguration>${theirs}</LifecycleConfiguration>`)
    assert.equal((await run('lifecycle --default --yes')).code, 0)
    const line = 'logs/: 3 days (rule "their \\u{202e}" of another program)'
    assert.ok((await run('lifecycle')).stdout.split('\n').includes(line))
    const dry = await run('lifecycle --remove documents tmp/ --dry-run')
    assert.deepEqual(dry, {
      code: 0,
      stdout: '= voice_notes: 30 days\n- documents: 90 days\n- tmp: 7 days\n',
      stderr: 'nothing was changed\n',
    })
    const unasked = await run('lifecycle --remove documents')
    assert.deepEqual([unasked.code, unasked.stderr.includes('give --yes')], [64, true])
    assert.equal((await storage().getLifecycle()).length, 3)
    const removed = await run('lifecycle --remove documents tmp/ --rule voice_notes=10 --yes --json')
    assert.deepEqual(recordsOf(removed.stdout), [
      { change: '-', prefix: 'documents', days: 90 },
      { change: '-', prefix: 'tmp', days: 7 },
      { change: '-', prefix: 'voice_notes', days: 30 },
      { change: '+', prefix: 'voice_notes', days: 10 },
    ])
    const missing = await run('lifecycle --remove logs --yes')
    assert.deepEqual(
      [missing.code, missing.stderr],
      [1, 'error: R2Storage(test-bucket) has no rule of stowage for logs\n'],
    )
    assert.equal((await run('lifecycle --remove tmp --rule tmp=1 --yes')).code, 64)
    const [own, ...others] = recordsOf((await run('lifecycle --json')).stdout)
    assert.deepEqual(own, { own: true, prefix: 'voice_notes', days: 10 })
    assert.deepEqual(
      others.map(({ id, own, prefix, days, abortDays }) => [id, own, prefix, days ?? abortDays]),
      [
        ['their \u202e', false, 'logs/', 3],
        ['stowage-abort-', true, '', 7],
      ],
    )
  })

  it('shows the rule of another storage in the bucket beside an equal one of its own', async () => {
    const mine = { R2_PREFIX: 'mine' }
    for (const more of [{}, { R2_PREFIX: 'other' }, mine]) await run('lifecycle --rule exports=9 --yes', more)
    const lines = (await run('lifecycle', mine)).stdout
      .split('\n')
      .filter((line) => line.includes(': 9 days'))
    assert.equal(lines[0], 'exports: 9 days')
    assert.deepEqual(lines.slice(1).sort(), ['exports/: 9 days', 'other/exports/: 9 days'])
  })

  it('asks on a terminal', async () => {
    const start = () =>
      place.program.startInTerminal(['lifecycle', '--rule', 'tmp=1'], {
        cwd: place.cwd,
        env: r2.env,
        columns: 40,
      })
    const first = start()
    await seen(first.screen, /Change the rules of R2Storage\(test-bucket\)\? \[y\/N\] /)
    first.terminal.write('\r')
    assert.equal(await first.ended, 0)
    assert.deepEqual(await storage().getLifecycle(), [])
    const second = start()
    await seen(second.screen, /\[y\/N\] /)
    second.terminal.write('yes\r')
    assert.equal(await second.ended, 0, second.screen())
    assert.deepEqual(await storage().getLifecycle(), [{ prefix: 'tmp', days: 1 }])
  })
})

describe('settings of a bucket', () => {
  it.each([
    [
      'cors --storage fs:./uploads',
      64,
      /CORS rules are settings of a bucket, and FileSystemStorage\(.*\) has none/,
    ],
    ['lifecycle --storage memory:', 64, /lifecycle rules are settings of a bucket/],
    ['cors --set example.com', 64, /origins such as "https:\/\/app\.example\.com"/],
    [
      'cors --set https://a.example/',
      64,
      /--set takes origins .* slash at the end.*; "https:\/\/a\.example\/" is none/,
    ],
    ['lifecycle --rule documents', 64, /"documents" is not a rule such as documents=90/],
    ['lifecycle --rule tmp=0', 64, /"tmp=0" is not a rule/],
    ['lifecycle --rule tmp=1 --rule tmp=2', 64, /there are two rules for tmp/],
    ['lifecycle --rule ../x=1 --yes', 64, /x/],
    ['cors --storage r2:nope', 1, /the bucket "nope" does not exist/],
  ])('refuses %s', async (command, code, sentence) => {
    const ended = await run(command)
    assert.equal(ended.code, code, ended.stderr)
    assert.match(ended.stderr, /^error: .*\n$/)
    assert.match(ended.stderr, sentence)
  })

  it('says that the keys may not change them', async () => {
    r2.server.behaviour.onRequest = () => ({ status: 403, code: 'AccessDenied' })
    const ended = await Promise.all([run('cors'), run('lifecycle --default --yes')])
    assert.deepEqual(
      ended.map(({ code }) => code),
      [3, 3],
    )
  })
})

const ceph = inject('ceph')
describe.skipIf(ceph === null)('settings of a bucket on Ceph', () => {
  it('leaves rules of others as they are', async () => {
    if (ceph === null) return
    const { endpoint, accessKeyId, secretAccessKey } = ceph
    const bucket = `cli-${Date.now()}`
    const client = new S3Client({
      endpoint,
      credentials: { accessKeyId, secretAccessKey },
      region: 'us-east-1',
      forcePathStyle: true,
    })
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    const theirs = {
      ID: 'theirs',
      Status: 'Enabled',
      Filter: { Prefix: 'logs/' },
      Expiration: { Days: 3 },
    } as const
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [theirs] },
      }),
    )
    client.destroy()
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
    const on = (...args: string[]) =>
      place.program.run([...args, '--storage', `s3:${bucket}?endpoint=${endpoint}`], { cwd: place.cwd, env })
    assert.equal((await on('lifecycle', '--default', '--yes')).code, 0)
    const again = await on('lifecycle', '--default', '--json')
    assert.deepEqual(
      recordsOf(again.stdout).map(({ change }) => change),
      ['=', '=', '='],
    )
    const cors = await on('cors', '--json', '--set', 'https://app.example.com')
    assert.deepEqual([cors.code, recordsOf(cors.stdout)[0]?.fitsUploads], [0, true])
    const storage = new S3Storage({ ...ceph, bucket })
    assert.equal((await storage.getLifecycle()).length, 3)
    assert.equal((await on('lifecycle', '--remove', 'documents', 'tmp', 'voice_notes', '--yes')).code, 0)
    const left = await on('lifecycle')
    assert.deepEqual(left.stdout.split('\n').filter(Boolean).sort(), [
      'logs/: 3 days (rule "theirs" of another program)',
      'the whole bucket: unfinished uploads 7 days',
    ])
  })
})
