/** The tests of the testing guide are tests. Those for node:test run in `examples.test.ts`. */
import '../examples/avatars.vitest.js'
import '../examples/failures.vitest.js'
