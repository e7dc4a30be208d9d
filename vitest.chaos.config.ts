import { configDefaults } from 'vitest/config'
import { configOf } from './vitest.config.js'

/** The tests that break things, in sequence. `--mode` sets their length: quick, long or soak. */
export default configOf((mode) => ({
  include: ['test/chaos/**/*.test.ts'],
  exclude: configDefaults.exclude,
  globalSetup: ['test/servers/setup.ts', 'test/chaos/setup.ts'],
  env: { CHAOS_FORM: mode },
  fileParallelism: false,
  testTimeout: 2 * 60 * 60_000,
}))
