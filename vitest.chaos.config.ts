import { configDefaults, defineConfig } from 'vitest/config'
import base from './vitest.config.js'

/** The tests that break things, in sequence. `--mode` sets their length: quick, long or soak. */
export default defineConfig((env) => {
  const { test, ...settings } = base(env)
  return {
    ...settings,
    test: {
      ...test,
      include: ['test/chaos/**/*.test.ts'],
      exclude: configDefaults.exclude,
      globalSetup: ['test/servers/setup.ts', 'test/chaos/setup.ts'],
      env: { CHAOS_FORM: env.mode },
      fileParallelism: false,
      testTimeout: 2 * 60 * 60_000,
    },
  }
})
