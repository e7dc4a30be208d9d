/** docs/comparison.md names the packages that bench/compare runs. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'vitest'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const page = read('docs/comparison.md')
const { dependencies }: { dependencies: Record<string, string> } = JSON.parse(
  read('bench/compare/package.json'),
)

it('the comparison has a date and the pinned versions', () => {
  const [, date = '', measured = ''] =
    /^Measured on (\d{4}-\d\d-\d\d) with Node [\d.]+ on \w+: (.*)\.$/m.exec(page) ?? []
  assert.ok(Date.parse(date) > Date.parse('2026-11-01'), date)
  const [own, ...peers] = measured.split(', ')
  assert.match(own ?? '', /^stowage \d+\.\d+\.\d+$/)
  assert.deepEqual(
    peers,
    Object.entries(dependencies).map(([name, version]) => `${name} ${version}`),
  )
})

it('every row of the comparison has a cell for each package, and every measured one was run', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| '))
  assert.ok(rows.length > 20, `${rows.length} rows`)
  for (const row of rows) {
    assert.equal(row.split(' | ').length, 6, row)
    assert.ok(!row.includes('not run'), row)
  }
})

it('the lock file pins the same versions', () => {
  const { packages }: { packages: Record<string, { version?: string }> } = JSON.parse(
    read('bench/compare/package-lock.json'),
  )
  for (const [name, version] of Object.entries(dependencies)) {
    assert.equal(packages[`node_modules/${name}`]?.version, version)
  }
})
