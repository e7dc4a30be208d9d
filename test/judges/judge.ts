import { execFileSync } from 'node:child_process'

/**
 * Whether a judge can be asked. Where a program is missing the run says so and goes on without it;
 * `STOWAGE_REQUIRE_JUDGES=1` fails the run instead.
 */
export function canJudge(judge: string, isThere: boolean, remedy: string): boolean {
  if (isThere) return true
  const reason = `${judge} is missing, so its tests are not run: ${remedy}`
  if (process.env.STOWAGE_REQUIRE_JUDGES === '1') throw new Error(reason)
  console.log(reason)
  return false
}

/** Whether a program is on the path and runs. */
export function runs(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
