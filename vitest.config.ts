import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig, type ViteUserConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Starts the longest file first, so that the others run beside it. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => (moduleId.endsWith('/conformance.test.ts') ? 0 : 1)
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

/** What is slow and rarely breaks is left to `npm run test:long`. */
const SLOW = [
  'test/docs-site.test.ts',
  'test/cli/bucket-settings.test.ts',
  'test/cli/failures.test.ts',
  'test/cli/transfer.test.ts',
  'test/http/hostile.test.ts',
  'test/http/large-uploads.test.ts',
  'test/integration/collisions.test.ts',
  'test/integration/filesystem-broken-disk.test.ts',
  'test/integration/filesystem-races.test.ts',
  'test/integration/memory.test.ts',
  'test/integration/migrate-kills.test.ts',
  'test/integration/migrate-long.test.ts',
  'test/integration/readers.test.ts',
  'test/integration/s3-abandoned.test.ts',
  'test/integration/s3-addresses.test.ts',
  'test/integration/s3-credential-chain.test.ts',
  'test/integration/s3-hostile.test.ts',
  'test/integration/s3-listing-rights.test.ts',
  'test/integration/s3-lost-answers.test.ts',
  'test/integration/s3-multipart.test.ts',
  'test/integration/s3-retries.test.ts',
  'test/integration/s3-unreachable.test.ts',
  'test/integration/secrets.test.ts',
  'test/integration/upload-kills.test.ts',
  'test/operations/diagnose.test.ts',
  'test/operations/diagnose-server.test.ts',
  'test/operations/undoable-sqlite.test.ts',
  'test/package.test.ts',
  'test/servers/ceph.test.ts',
  'test/servers/r2-connections.test.ts',
]

/** These have a configuration of their own. */
const ELSEWHERE = ['test/browser/**', 'test/chaos/**', 'test/judges/**']

const base = defineConfig(({ mode }) => ({
  resolve: {
    alias: {
      'stowage/http': fileURLToPath(new URL('./src/http.ts', import.meta.url)),
      'stowage/testing': fileURLToPath(new URL('./src/testing.ts', import.meta.url)),
      stowage: fileURLToPath(new URL('./src/index.ts', import.meta.url)),
    },
  },
  test: {
    include: mode === 'long' ? ['test/conformance.test.ts', ...SLOW] : ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...ELSEWHERE, ...(mode === 'long' ? [] : SLOW)],
    globalSetup: ['test/servers/setup.ts'],
    // Two more than the cores of a small machine, because many tests mostly wait.
    maxWorkers: Math.max(4, availableParallelism()),
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
}))

/** The same set-up for other tests. */
export function configOf(tests: (mode: string) => NonNullable<ViteUserConfig['test']>) {
  return defineConfig((env) => {
    const { test, ...settings } = base(env)
    return { ...settings, test: { ...test, ...tests(env.mode) } }
  })
}

export default base
