import * as atomic from './trials/atomic.mjs'
import * as attributes from './trials/attributes.mjs'
import * as errors from './trials/errors.mjs'
import * as links from './trials/links.mjs'
import * as list from './trials/list.mjs'
import * as names from './trials/names.mjs'
import * as race from './trials/race.mjs'
import * as rules from './trials/rules.mjs'
import * as signing from './trials/signing.mjs'
import * as streams from './trials/streams.mjs'

/**
 * The measured rows: `{ id, title, on, run }`. `on` is the backend: `disk`, `r2` (the strict stand-in), `ceph`, or
 * `plain` (the server of the benchmarks). `run({ contestant, server, folder })` gives an outcome.
 */
export const TRIALS = [race, atomic, rules, streams, signing, attributes, names, links, list, errors].flatMap(
  ({ trials }) => trials,
)
