/** Applications that are compiled: every module mode, with the DOM's types and without, old compilers and new. */
const MODES = {
  'ES modules of Node': { module: 'nodenext' },
  'CommonJS of Node': { module: 'node16' },
  'a bundler': { module: 'esnext', moduleResolution: 'bundler' },
}
const DOM = { lib: ['es2023', 'dom', 'dom.iterable', 'dom.asynciterable'] }
const NODE = { lib: ['es2023'] }

const OLD = { ...NODE, types: ['node-20.0'] }

const rows = [
  ...Object.entries(MODES).flatMap(([mode, options]) => [
    { typescript: 'typescript', what: `5.9, ${mode}`, file: 'use.ts', options: { ...NODE, ...options } },
    { typescript: 'typescript', what: `5.9, ${mode}, DOM`, file: 'use.ts', options: { ...DOM, ...options } },
  ]),
  { typescript: 'typescript-6.0', what: '6.0, DOM', file: 'use.ts', options: { ...DOM, module: 'nodenext' } },
  { typescript: 'typescript-7.0', what: '7.0, DOM', file: 'use.ts', options: { ...DOM, module: 'nodenext' } },
  { typescript: 'typescript-7.0', what: '7.0', file: 'use.ts', options: { ...NODE, module: 'nodenext' } },
  {
    typescript: 'typescript-5.4',
    what: '5.4, types of Node 20.0',
    file: 'basics.ts',
    options: { ...OLD, module: 'nodenext' },
  },
  {
    typescript: 'typescript',
    what: '5.9, types of Node 20.0',
    file: 'basics.ts',
    options: { ...OLD, module: 'nodenext' },
  },
]

export const COMPILATIONS = rows.map(({ typescript, what, file, options }) => ({
  name: `TypeScript ${what}`,
  program: file,
  files: {
    'package.json': JSON.stringify({ type: what.includes('CommonJS') ? 'commonjs' : 'module' }),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noEmit: true,
        types: ['node'],
        // Our own .d.ts files are checked once; the SDK's take most of the time.
        skipLibCheck: !what.endsWith('5.9, ES modules of Node, DOM'),
        ...options,
      },
      files: [file],
    }),
  },
  run: [['node', `node_modules/${typescript}/bin/tsc`, '-p', '.']],
}))
