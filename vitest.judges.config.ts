import { configDefaults, defineConfig } from 'vitest/config'
import base from './vitest.config.js'

/** The tests against programs of others, one program a file. They say what is missing on this machine. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/judges/**/*.test.ts'],
    exclude: configDefaults.exclude,
    globalSetup: [],
    fileParallelism: false,
    testTimeout: 120_000,
  },
})
