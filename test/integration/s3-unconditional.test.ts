/** Copies on servers without a condition on copies, as MinIO, or on completions either, as Ceph. */
import { describe, expect, it } from 'vitest'
import { first, setUpR2 } from './r2-setup.js'

describe.each([
  { fastPath: true, conditionalCompletion: true },
  { fastPath: true, conditionalCompletion: false },
  { fastPath: false, conditionalCompletion: true },
  { fastPath: false, conditionalCompletion: false },
])(
  'fastPath $fastPath, conditionalCompletion $conditionalCompletion',
  ({ fastPath, conditionalCompletion }) => {
    const r2 = setUpR2(fastPath, { conditionalCopyHeader: false })
    const storage = () => r2.storage({ conditionalCopy: false, conditionalCompletion })
    const plant = (name: string, text: string, metadata: Record<string, string> = {}) =>
      r2.server.bucket().plant(name, text, { metadata })
    /** What happens between the first look at the source and the copy, and between the copy and what comes next. */
    const meanwhile = (before: () => void, after = () => {}) => {
      const steps = [before, after]
      r2.server.behaviour.onRequest = ({ operation }) => {
        if (operation === 'CopyObject' || operation === 'UploadPartCopy' || steps.length === 1)
          steps.shift()?.()
        return undefined
      }
    }
    const found = async (name: string) => {
      const file = await storage().open(name)
      return [await file.text(), file.metadata]
    }

    describe.each([
      { what: 'a create-only copy', ifExists: 'error' },
      { what: 'a copy that overwrites', ifExists: 'overwrite' },
    ] as const)('$what', ({ ifExists }) => {
      const copy = () => storage().copy('from.txt', 'to.txt', { ifExists })

      it('has content and metadata of one version where the source is replaced meanwhile', async () => {
        plant('from.txt', 'old', { version: '1' })
        meanwhile(() => plant('from.txt', 'newer', { version: '2' }))
        expect(await copy()).toBe('to.txt')
        expect(await found('to.txt')).toEqual(['newer', { version: '2' }])
      })

      it('has content and metadata of one version where the source is replaced, and put back', async () => {
        plant('from.txt', 'old', { version: '1' })
        meanwhile(
          () => plant('from.txt', 'newer', { version: '2' }),
          () => plant('from.txt', 'old', { version: '1' }),
        )
        expect(await copy()).toBe('to.txt')
        expect([
          ['old', { version: '1' }],
          ['newer', { version: '2' }],
        ]).toContainEqual(await found('to.txt'))
      })

      it.each(['from.txt', 'from?.txt'])(
        'is none of a placeholder that came to the name of the source, %s',
        async (from) => {
          plant(from, 'old')
          meanwhile(() => plant(from, '', { 'stowage-claim': '1' }))
          const copied = storage().copy(from, 'to.txt', { ifExists })
          await expect(copied).rejects.toMatchObject({ code: 'NotFound' })
          expect(r2.server.bucket().keys()).toEqual([from])
        },
      )

      // Where completing is conditional nobody makes placeholders, and the target is copied over at once.
      if (!conditionalCompletion) {
        it('changes nothing where a placeholder came to the name of the source', async () => {
          plant('from.txt', 'old')
          plant('to.txt', 'precious')
          meanwhile(() => plant('from.txt', '', { 'stowage-claim': '1' }))
          await expect(copy()).rejects.toMatchObject({ code: 'NotFound' })
          expect(await found('to.txt')).toEqual(['precious', {}])
        })
      }

      it('takes an empty file that came to the name of the source', async () => {
        plant('from.txt', 'old')
        meanwhile(() => plant('from.txt', '', { version: '2' }))
        await copy()
        expect(await found('to.txt')).toEqual(['', { version: '2' }])
      })

      it('leaves nothing where the source has gone', async () => {
        plant('from.txt', 'old')
        meanwhile(() => r2.server.bucket().delete('from.txt'))
        await expect(copy()).rejects.toMatchObject({ code: 'NotFound' })
        expect(r2.server.bucket().keys()).toEqual([])
        expect(r2.server.openUploads).toBe(0)
      })

      it.each(['CopyObject', 'CompleteMultipartUpload'])(
        'is there once where the answer to %s got lost',
        async (operation) => {
          plant('from.txt', 'content', { by: 'me' })
          r2.server.behaviour.onRequest = first(operation, { afterwards: 'reset' })
          expect(await copy()).toBe('to.txt')
          expect(await found('to.txt')).toEqual(['content', { by: 'me' }])
          expect(r2.server.bucket().keys()).toEqual(['from.txt', 'to.txt'])
        },
      )
    })

    it('overwrites nothing by a create-only copy, and takes another name', async () => {
      plant('from.txt', 'content')
      plant('to.txt', 'precious')
      expect(await storage().copy('from.txt', 'to.txt')).toMatch(/^to_\w{7}\.txt$/)
      expect(await found('to.txt')).toEqual(['precious', {}])
    })

    it('gives a name to one of many create-only copies', async () => {
      plant('from.txt', 'content')
      const copies = Array.from({ length: 10 }, () =>
        storage().copy('from.txt', 'to.txt', { ifExists: 'error' }),
      )
      const outcomes = await Promise.allSettled(copies)
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(await found('to.txt')).toEqual(['content', {}])
    })

    it('looks at the source again only where the ETags do not tell that the part is all of it', async () => {
      plant('from.txt', 'content')
      const copying = storage()
      await copying.save('first.txt', 'tries the server out')
      r2.server.requests.length = 0
      await copying.copy('from.txt', 'once.txt')
      await copying.copy('once.txt', 'twice.txt')
      const claim = conditionalCompletion ? [] : ['PutObject']
      const each = [
        'HeadObject',
        'CreateMultipartUpload',
        'UploadPartCopy',
        ...claim,
        'CompleteMultipartUpload',
      ]
      expect(r2.operations()).toEqual([...each, ...each])
      const opaque = plant('opaque.txt', 'content')
      r2.server.bucket().put({ ...opaque, etag: 'f'.repeat(32) })
      expect(await storage().copy('opaque.txt', 'copy.txt')).toBe('copy.txt')
      expect(await found('copy.txt')).toEqual(['content', {}])
    })
  },
)
