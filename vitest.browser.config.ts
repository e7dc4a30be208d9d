import { configDefaults } from 'vitest/config'
import { configOf } from './vitest.config.js'

/** The tests in a real Chromium, one file after another: a browser keeps the whole machine busy. */
export default configOf(() => ({
  include: ['test/browser/**/*.test.ts'],
  exclude: configDefaults.exclude,
  fileParallelism: false,
  testTimeout: 120_000,
}))
