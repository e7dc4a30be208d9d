import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

export default defineConfig({
  resolve: {
    alias: {
      'stowage/testing': fileURLToPath(new URL('./src/testing.ts', import.meta.url)),
      stowage: fileURLToPath(new URL('./src/index.ts', import.meta.url)),
    },
  },
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, 'test/chaos/**'],
    globalSetup: ['test/servers/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
