import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { index: 'src/index.ts', testing: 'src/testing.ts' },
  format: ['esm', 'cjs'],
  target: 'node20',
  platform: 'node',
  dts: true,
  clean: true,
  // In CommonJS, splitting would turn every `import()` into a `require`. Not every Node can `require` an ES module such
  // as file-type. The entries share little code, and errors are recognised across copies.
  splitting: false,
})
