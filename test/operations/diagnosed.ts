/** Diagnoses, and what must hold for each of them. */
import assert from 'node:assert/strict'
import { type CheckResult, type DiagnoseOptions, diagnose, type Storage } from 'stowage'

/** Runs a diagnosis. Every record is fit to be shown, and holds none of the secrets. */
export async function diagnosed(
  storage: Storage,
  options: DiagnoseOptions & { readonly secrets?: readonly string[] } = {},
): Promise<CheckResult[]> {
  const { secrets = [], ...given } = options
  const results: CheckResult[] = []
  for await (const result of diagnose(storage, given)) results.push(result)
  expectFit(results, secrets)
  return results
}

/** What holds for the records of every diagnosis. */
export function expectFit(results: readonly CheckResult[], secrets: readonly string[] = []): void {
  assert.equal(new Set(results.map(({ check }) => check)).size, results.length, 'each check has one record')
  const groups = results.map(({ group }) => group)
  const changes = groups.filter((group, index) => group !== groups[index - 1])
  assert.equal(new Set(changes).size, changes.length, `groups are together: ${changes.join(', ')}`)
  for (const result of results) {
    const { check, status, message, remedy } = result
    assert.match(message, /^[^\s].*\.$/, check)
    assert.doesNotMatch(message, /\n|\.\.$|undefined|\[object/, check)
    if (status === 'failed' || status === 'warning') assert.match(remedy ?? '', /^[A-Z].*\.$/, check)
    else assert.equal(remedy, undefined, check)
    const text = JSON.stringify(result)
    assert.doesNotMatch(
      text,
      /X-Amz-(?:Signature|Credential|Security)|signed=|AWS4-HMAC|authorization/i,
      check,
    )
    for (const secret of secrets) assert.ok(!text.includes(secret), `${check} shows a secret`)
  }
}

/** The one record that is not fine; all others are ok or skipped. */
export function problemIn(results: readonly CheckResult[]): CheckResult {
  const problems = results.filter(({ status }) => status === 'failed' || status === 'warning')
  const [problem] = problems
  assert.ok(problem, 'nothing is wrong')
  assert.equal(problems.length, 1, JSON.stringify(problems, null, 1))
  return problem
}

/** All records are ok or skipped. */
export function expectHealthy(results: readonly CheckResult[]): void {
  assert.deepEqual(
    results.filter(({ status }) => status === 'failed' || status === 'warning'),
    [],
  )
}

/** The checks of one status. */
export function checksOf(results: readonly CheckResult[], status: CheckResult['status']): string[] {
  return results.flatMap((result) => (result.status === status ? [result.check] : []))
}
