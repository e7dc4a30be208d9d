import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { parseXml, textOf } from '../../src/drivers/s3/xml.js'

const nested = (depth: number) => `${'<a>'.repeat(depth)}x${'</a>'.repeat(depth)}`

describe('an answer in XML', () => {
  it('is read with its five entities, and no others', async () => {
    const document = await parseXml('<R><A>&lt;&amp;&#33;</A><B>&bomb;</B></R>')
    assert.ok(document)
    assert.deepEqual([textOf(document.root, 'A'), textOf(document.root, 'B')], ['<&!', '&bomb;'])
  })

  it.each([
    ['is cut', '<R><A>x</A>'],
    ['has two roots', '<R></R><R></R>'],
    ['is no XML', 'a page of some proxy'],
    ['is empty', ''],
    ['is deeper than any answer of S3', nested(17)],
    // The parser takes quadratic time for depth: minutes, if it were not stopped.
    ['is as deep as an answer may be long', nested(1_000_000)],
  ])('is none where it %s', async (_, text) => {
    assert.equal(await parseXml(text), undefined)
  })

  it('may be as deep as it likes to be, within reason', async () => {
    assert.equal((await parseXml(nested(16)))?.root.name, 'a')
  })
})
