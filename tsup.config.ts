import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { index: 'src/index.ts', testing: 'src/testing.ts' },
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  dts: true,
  clean: true,
  // For CommonJS, splitting would turn every `import()` into a `require`, which an ES module such as file-type does not
  // stand on every Node. What the two entries share is small, and errors are known across copies.
  splitting: false,
})
