import { appendFileSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FORM } from './form.js'

/** One row of the table in docs/robustness.md: what was tried, how often, and what came of it. */
export interface Figure {
  /** `kill -9 in the midst of filesystem writes` */
  readonly trial: string
  /** `1,000 kills, 23,456 acknowledged writes` */
  readonly tried: string
  /** `0 lost, 0 mixed, 0 stray names` */
  readonly outcome: string
}

const RESULTS = new URL('results/', import.meta.url)

/** Prints a figure, and keeps it for `npm run test:chaos:docs`, which writes the table into docs/robustness.md. */
export function report(figure: Figure): void {
  console.log(`figure: ${figure.trial} | ${figure.tried} | ${figure.outcome}`)
  mkdirSync(RESULTS, { recursive: true })
  appendFileSync(fileURLToPath(new URL(`${FORM}.jsonl`, RESULTS)), `${JSON.stringify(figure)}\n`)
}
