import { configDefaults } from 'vitest/config'
import { configOf } from './vitest.config.js'

/** The tests against programs of others, one program a file. They say what is missing on this machine. */
export default configOf(() => ({
  include: ['test/judges/**/*.test.ts'],
  exclude: configDefaults.exclude,
  globalSetup: [],
  fileParallelism: false,
  testTimeout: 120_000,
}))
