/** Runs once before all tests that break things: the figures of one run are not to be mixed with another's. */
import { rmSync } from 'node:fs'
import type { TestProject } from 'vitest/node'

/** A run of single files starts anew as well: the table in docs/robustness.md is of one whole run. */
export default function setup(project: TestProject): void {
  const form = project.vitest.config.env.CHAOS_FORM ?? 'quick'
  rmSync(new URL(`results/${form}.jsonl`, import.meta.url), { force: true })
}
