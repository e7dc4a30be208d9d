import * as timers from 'node:timers'
import * as promises from 'node:timers/promises'

/**
 * Node's own timers, as they were when this package was loaded. Those of jsdom are numbers, without `unref`, and under
 * the fake timers of a test a save would wait for ever.
 */
export const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate } = timers

/** The same as promises: `sleep` takes milliseconds; `nextTurn` lets the event loop do its other work. */
export const { setTimeout: sleep, setImmediate: nextTurn } = promises
