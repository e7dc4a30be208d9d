import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, it } from 'vitest'

/**
 * The floors of the house, lowest first. A file imports from floors below its own. Files of one group, which all match
 * one pattern, may import each other as well. Nothing imports in a circle, types included.
 */
const FLOORS: readonly (readonly RegExp[])[] = [
  [/^errors\.ts$/, /^error-fields\.ts$/, /^crypto\.ts$/, /^timers\.ts$/, /^signals\.ts$/, /^vendor\//],
  [/^types\.ts$/, /^load\.ts$/, /^telemetry\.ts$/],
  // Has the fields of a FileInfo.
  [/^stored-file\.ts$/],
  // What is decided about names, headers and contents without a storage. Each knows some of the others.
  [
    /^(?:names|filenames|percent|media-types|metadata|disposition|headers|source|content|options|ranges|uploads)\.ts$/,
  ],
  // Two readers of one content.
  [/^tee\.ts$/],
  // What backends are asked for.
  [/^staged\.ts$/, /^checks\.ts$/],
  [/^upload-driver\.ts$/],
  [/^driver\.ts$/],
  // How an operation runs: its errors and its name.
  [/^delete-many\.ts$/, /^operation\.ts$/, /^cloudflare-purge\.ts$/, /^expiry-rules\.ts$/],
  [/^(?:publish|accept|copy-through)\.ts$/, /^listed\.ts$/],
  [/^storage\.ts$/],
  [/^direct-upload\.ts$/, /^observed\.ts$/],
  // What drivers share.
  [/^drivers\/(?:options|semaphore|resting-readers|local-signer|claimed-upload|upload-mark)\.ts$/],
  // The I/O of one backend, and storages made of storages.
  [/^drivers\/memory(?:-uploads)?\.ts$/, /^drivers\/filesystem\//, /^drivers\/s3\//, /^wrappers\//],
  // Thin classes: options in, a driver out. R2Storage is a preset of S3Storage.
  [/^backends\/memory\.ts$/, /^backends\/filesystem\.ts$/, /^backends\/(?:s3|r2)\.ts$/],
  // The conveniences; the conformance cases are one of them.
  [
    /^(?:create-storage|default|diagnose-environment)\.ts$/,
    /^transfer\//,
    /^operations\//,
    /^paths\.ts$/,
    /^testing\//,
    /^http\//,
  ],
  // The entries of the package.
  [/^index\.ts$/, /^http\.ts$/, /^testing\.ts$/],
  // The command line uses the package as everybody does.
  [/^cli(?:\.ts$|\/)/],
]

/** Limits beyond the floors: `what` may be imported from `to` alone. */
const PRIVATE: readonly { what: RegExp; to: RegExp }[] = [
  // Conveniences take a Storage, never a backend; the one that chooses a backend has to know them.
  { what: /^backends\//, to: /^(?:backends\/|create-storage\.ts$|index\.ts$)/ },
  // A backend knows its own driver. The face and createStorage know the options of S3.
  { what: /^drivers\/memory(?:-uploads)?\.ts$/, to: /^(?:drivers|backends)\/memory\.ts$/ },
  { what: /^drivers\/filesystem\//, to: /^(?:drivers|backends)\/filesystem[./]/ },
  {
    what: /^drivers\/s3\/(?:options|address|bucket-config)\.ts$/,
    to: /^(?:drivers\/s3\/|backends\/(?:s3|r2)\.ts$|create-storage\.ts$|index\.ts$)/,
  },
  {
    what: /^drivers\/s3\/(?!(?:options|address|bucket-config)\.ts$)/,
    to: /^(?:drivers\/s3\/|backends\/(?:s3|r2)\.ts$)/,
  },
  {
    what: /^drivers\/(?:options|semaphore|resting-readers|local-signer|claimed-upload|upload-mark)\.ts$/,
    to: /^(?:drivers|backends)\//,
  },
  // A prefix is a wrapper, also inside a backend.
  { what: /^wrappers\/(?:prefixed|purging)\.ts$/, to: /^(?:wrappers|backends)\/|^index\.ts$/ },
  { what: /^(?!cli\/|index\.ts$|vendor\/|timers\.ts$)/, to: /^(?!cli\/|cli\.ts$)/ },
  { what: /^wrappers\/(?!(?:prefixed|purging)\.ts$)/, to: /^(?:wrappers\/|create-storage\.ts$|index\.ts$)/ },
]

/** Everything that is not this package's own, and where it may be imported. What is not here may be imported nowhere. */
const OUTSIDE: readonly { what: RegExp; in: RegExp }[] = [
  { what: /^node:v8$/, in: /^cli\.ts$/ },
  { what: /^node:(?:crypto|events|path|stream|util)$/, in: /./ },
  { what: /^node:(?:async_hooks|diagnostics_channel)$/, in: /^telemetry\.ts$/ },
  { what: /^node:timers(?:\/promises)?$/, in: /^timers\.ts$/ },
  { what: /^node:(?:assert\/strict|stream\/consumers)$/, in: /^testing\// },
  // The local R2 is a server.
  { what: /^node:(?:http|net|stream\/promises|zlib)$/, in: /^testing\/local-r2\// },
  { what: /^node:(?:http|stream\/promises)$/, in: /^http\// },
  { what: /^node:fs(?:\/promises)?$/, in: /^(?:drivers\/filesystem|cli)\// },
  // A proxy's connections.
  { what: /^node:(?:http|https|net|tls)$/, in: /^drivers\/s3\/(?:proxy|tunnel)\.ts$/ },
  { what: /^@aws-sdk\//, in: /^drivers\/s3\/(?:sdk(?:-client|-presigner)?|credential-chain)\.ts$/ },
  { what: /^undici(?:\/|$)/, in: /^drivers\/s3\// },
  { what: /^htmlparser2$/, in: /^drivers\/s3\/vendor\// },
  { what: /^sanitize-filename$/, in: /^filenames\.ts$/ },
  { what: /^(?:mime-types|file-type)$/, in: /^vendor\// },
  { what: /^@fastify\/busboy$/, in: /^vendor\// },
  // Their types are everywhere in the command line.
  { what: /^(?:commander|cli-progress)$/, in: /^(?:vendor|cli)\// },
  { what: /^string-width$/, in: /^vendor\// },
]

/** The type of the option `client`. */
const CLIENT_OPTION = { path: 'drivers/s3/options.ts', specifier: '@aws-sdk/client-s3' }

/** Loaded when they are first needed, never with the package: `import 'stowage'` stays light. */
const LAZY = /^(?:@aws-sdk\/.*|undici|file-type|mime-types|@fastify\/busboy|commander|cli-progress)$/

interface Import {
  readonly specifier: string
  /** Gone in JavaScript. */
  readonly typeOnly: boolean
  /** `await import(…)` in a function. */
  readonly dynamic: boolean
}

interface Source {
  readonly imports: readonly Import[]
  readonly faults: readonly string[]
}

/** Every way in which a tree of sources, by their paths below `src/`, is not the house that it should be. */
function faultsOf(tree: Readonly<Record<string, string>>): string[] {
  const faults: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, text] of Object.entries(tree)) {
    const { imports, faults: own } = read(path, text)
    faults.push(...own.map((fault) => `${path} ${fault}`))
    const floor = floorOf(path)
    if (floor === undefined) faults.push(`${path} has no floor`)
    const needed: string[] = []
    for (const found of imports) {
      if (!found.specifier.startsWith('.')) {
        faults.push(...judgeOutside(found).map((fault) => `${path} ${fault}`))
        continue
      }
      const target = join(path, '..', found.specifier).replace(/\.js$/, '.ts')
      if (!(target in tree)) faults.push(`${path} imports ${target}, which is not there`)
      if (/(?:^|\/)vendor\//.test(target) && !found.dynamic)
        faults.push(`${path} loads ${target} at once, not when it is needed`)
      const fault = judgeInside(floor, floorOf(target))
      if (fault) faults.push(`${path} imports ${target}, ${fault}`)
      if (PRIVATE.some(({ what, to }) => what.test(target) && !to.test(path))) {
        faults.push(`${path} imports ${target}, which is none of its business`)
      }
      needed.push(target)
    }
    graph.set(path, needed)

    function judgeOutside({ specifier, typeOnly, dynamic }: Import): string[] {
      const isClientOption = typeOnly && path === CLIENT_OPTION.path && specifier === CLIENT_OPTION.specifier
      const allowed =
        isClientOption || OUTSIDE.some(({ what, in: place }) => what.test(specifier) && place.test(path))
      if (!allowed) return [`imports ${specifier}, which is out of place there`]
      // A vendor file is itself loaded when it is needed.
      return LAZY.test(specifier) && !typeOnly && !dynamic && !/(?:^|\/)vendor\//.test(path)
        ? [`loads ${specifier} at once, not when it is needed`]
        : []
    }
  }
  return [...faults, ...circles(graph)]
}

interface Place {
  readonly floor: number
  readonly group: RegExp
}

function floorOf(path: string): Place | undefined {
  for (const [floor, groups] of FLOORS.entries()) {
    const group = groups.find((pattern) => pattern.test(path))
    if (group) return { floor, group }
  }
  return undefined
}

function judgeInside(from: Place | undefined, to: Place | undefined): string | undefined {
  if (!from || !to || to.floor < from.floor || to.group === from.group) return undefined
  return to.floor > from.floor ? 'which is above it' : 'which is beside it'
}

function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path)
    if (start !== -1) found.push(`${[...trail.slice(start), path].join(' → ')} is a circle`)
    if (start !== -1 || done.has(path)) return
    done.add(path)
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
  }
  for (const path of graph.keys()) visit(path, [])
  return found
}

/** The imports of a source, and the words that it must not have. */
function read(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const imports: Import[] = []
  const faults: string[] = []
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      imports.push({ specifier: textOf(node.moduleSpecifier), typeOnly: isTypeOnly(node), dynamic: false })
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      imports.push({ specifier: textOf(node.arguments[0]), typeOnly: false, dynamic: true })
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      imports.push({ specifier: textOf(node.argument.literal), typeOnly: true, dynamic: false })
    } else if (node.kind === ts.SyntaxKind.AnyKeyword) {
      faults.push(`says any: ${lineOf(node)}`)
    } else if (ts.isNonNullExpression(node)) {
      faults.push(`says ! for "not null": ${lineOf(node)}`)
    } else if (ts.isAsExpression(node) && isToUnknown(node.expression)) {
      faults.push(`says as unknown as: ${lineOf(node)}`)
    }
    ts.forEachChild(node, visit)
  }
  const lineOf = (node: ts.Node) => node.getText().split('\n')[0] ?? ''
  visit(file)
  const note = /(?:\/\/|\/?\*).*\b(?:TODO|FIXME|XXX|HACK)\b.*/.exec(text)
  if (note) faults.push(`has something left to do: ${note[0].trim()}`)
  if (path === 'index.ts')
    faults.push(...file.statements.filter((it) => !isNamedReexport(it)).map(notTheFace))
  return { imports, faults }
}

function notTheFace(statement: ts.Statement): string {
  return `may have named re-exports only: ${statement.getText().split('\n')[0]}`
}

/** `export { a, type B } from './c.js'`. The types of types.ts are public one and all: it is the manual. */
function isNamedReexport(statement: ts.Statement): boolean {
  if (!ts.isExportDeclaration(statement) || !statement.moduleSpecifier) return false
  const named = statement.exportClause !== undefined && ts.isNamedExports(statement.exportClause)
  return named || (statement.isTypeOnly && textOf(statement.moduleSpecifier) === './types.js')
}

function isToUnknown(expression: ts.Expression): boolean {
  const inner = ts.isParenthesizedExpression(expression) ? expression.expression : expression
  return ts.isAsExpression(inner) && inner.type.kind === ts.SyntaxKind.UnknownKeyword
}

/** `import type …`, and `import { type A, type B } …`, which `verbatimModuleSyntax` keeps as a mere `import`. */
function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  return ts.isExportDeclaration(node) ? node.isTypeOnly : node.importClause?.isTypeOnly === true
}

function textOf(node: ts.Node | undefined): string {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : '(an expression)'
}

const SRC = fileURLToPath(new URL('../src', import.meta.url))

async function realTree(): Promise<Record<string, string>> {
  const tree: Record<string, string> = {}
  for (const entry of await readdir(SRC, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    tree[path.slice(SRC.length + 1).replaceAll('\\', '/')] = await readFile(path, 'utf8')
  }
  return tree
}

describe('the house', () => {
  it('is built as its floors say', async () => {
    const tree = await realTree()
    assert.ok('storage.ts' in tree && 'drivers/s3/driver.ts' in tree)
    assert.deepEqual(faultsOf(tree), [])
  })

  it('has no pattern that stands for nothing', async () => {
    const paths = Object.keys(await realTree())
    for (const group of FLOORS.flat())
      assert.ok(
        paths.some((path) => group.test(path)),
        `${group}`,
      )
  })
})

describe('the check of the house', () => {
  const sound: Readonly<Record<string, string>> = {
    'errors.ts': 'export class StorageError extends Error {}',
    'types.ts': 'export interface FileInfo {}',
    'stored-file.ts': "import type { FileInfo } from './types.js'\nimport './errors.js'",
    'names.ts': "import { randomInt } from 'node:crypto'\nimport { StorageError } from './errors.js'",
    'media-types.ts':
      "import { baseName } from './names.js'\nconst load = () => import('./vendor/mime-types.js')",
    'vendor/mime-types.ts': "export { lookup } from 'mime-types'",
    'uploads.ts': "const load = () => import('./vendor/file-type.js')",
    'vendor/file-type.ts': "export { fileTypeFromBuffer } from 'file-type'",
    'driver.ts': "import type { Name } from './names.js'",
    'storage.ts': "import { toName } from './names.js'\nimport type { StorageDriver } from './driver.js'",
    'drivers/options.ts': "import { toFolder } from '../names.js'",
    'drivers/memory.ts':
      "import type { StorageDriver } from '../driver.js'\nimport { x } from './options.js'",
    'drivers/filesystem/root.ts': "import fs from 'node:fs'",
    'drivers/s3/options.ts': "import type { S3Client } from '@aws-sdk/client-s3'",
    'drivers/s3/sdk.ts': "const sdk = () => import('@aws-sdk/client-s3')",
    'drivers/s3/http.ts': "import type { Pool } from 'undici'\nimport type { Options } from './options.js'",
    'wrappers/prefixed.ts': "import { Storage } from '../storage.js'",
    'wrappers/read-through.ts': "import { x } from './prefixed.js'",
    'backends/memory.ts': "import { Storage } from '../storage.js'\nimport { x } from '../drivers/memory.js'",
    'backends/filesystem.ts': "import { Root } from '../drivers/filesystem/root.js'",
    'backends/s3.ts':
      "import { x } from '../drivers/s3/http.js'\nimport { y } from '../wrappers/prefixed.js'",
    'backends/r2.ts': "import { S3Storage } from './s3.js'",
    'create-storage.ts':
      "import { R2Storage } from './backends/r2.js'\nimport { x } from './wrappers/read-through.js'",
    'default.ts': "import { createDefaultStorage } from './create-storage.js'",
    'transfer/migrate.ts': "import type { Storage } from '../storage.js'",
    'testing/save.ts': "import assert from 'node:assert/strict'\nimport { Storage } from '../storage.js'",
    'index.ts': "export { R2Storage } from './backends/r2.js'\nexport type * from './types.js'",
  }

  it('has nothing to say about a sound one', () => {
    assert.deepEqual(faultsOf(sound), [])
  })

  const broken: [string, Record<string, string>, RegExp][] = [
    [
      'an upward import',
      { 'names.ts': "import { Storage } from './storage.js'" },
      /names\.ts imports storage\.ts, which is above it/,
    ],
    [
      'an upward import of a type',
      { 'errors.ts': "import type { A } from './types.js'" },
      /which is above it/,
    ],
    [
      'an upward re-export',
      { 'storage.ts': "export { m } from './transfer/migrate.js'" },
      /which is above it/,
    ],
    [
      'an upward import when it runs',
      { 'storage.ts': "const m = () => import('./transfer/migrate.js')" },
      /which is above it/,
    ],
    [
      'an upward import in a type',
      { 'names.ts': "type S = import('./storage.js').Storage" },
      /which is above it/,
    ],
    ['a backend that knows another', { 'backends/memory.ts': "import './s3.js'" }, /which is beside it/],
    ['a driver that knows another', { 'drivers/memory.ts': "import './s3/http.js'" }, /which is beside it/],
    [
      'a wrapper that knows a driver',
      { 'wrappers/prefixed.ts': "import '../drivers/memory.js'" },
      /which is beside it/,
    ],
    [
      'a driver that knows a wrapper',
      { 'drivers/s3/http.ts': "import '../../wrappers/prefixed.js'" },
      /which is beside it/,
    ],
    [
      'a backend that knows a wrapper other than prefixed',
      { 'backends/s3.ts': "import '../wrappers/read-through.js'" },
      /none of its business/,
    ],
    [
      'a backend that opens another one up',
      { 'backends/memory.ts': "import '../drivers/filesystem/root.js'" },
      /none of its business/,
    ],
    [
      'conveniences that know each other',
      { 'transfer/migrate.ts': "import '../default.js'" },
      /which is beside it/,
    ],
    [
      'a convenience that knows a backend',
      { 'transfer/migrate.ts': "import '../backends/memory.js'" },
      /none of its business/,
    ],
    ['a file without a floor', { 'helpers.ts': '' }, /helpers\.ts has no floor/],
    ['a backend without a floor', { 'backends/azure.ts': '' }, /backends\/azure\.ts has no floor/],
    ['an import of nothing', { 'storage.ts': "import './name.js'" }, /name\.ts, which is not there/],
    [
      'a circle',
      { 'names.ts': "import './media-types.js'" },
      /names\.ts → media-types\.ts → names\.ts is a circle/,
    ],
    [
      'a circle of types',
      { 'names.ts': "import type { x } from './media-types.js'" },
      /names\.ts → media-types\.ts → names\.ts is a circle/,
    ],
    [
      'the SDK outside the S3 driver',
      { 'storage.ts': "import type { S3Client } from '@aws-sdk/client-s3'" },
      /@aws-sdk\/client-s3, which is out of place/,
    ],
    [
      'the SDK in another file of the S3 driver',
      { 'drivers/s3/http.ts': "const s = () => import('@aws-sdk/client-s3')" },
      /out of place/,
    ],
    [
      'the SDK loaded with the package',
      { 'drivers/s3/sdk.ts': "import { S3Client } from '@aws-sdk/client-s3'" },
      /at once/,
    ],
    [
      'undici outside the S3 driver',
      { 'default.ts': "const u = () => import('undici')" },
      /undici, which is out of place/,
    ],
    [
      'file-type loaded with the package',
      { 'uploads.ts': "import { x } from './vendor/file-type.js'" },
      /loads vendor\/file-type\.ts at once/,
    ],
    [
      'node:fs outside the filesystem driver',
      { 'transfer/migrate.ts': "import { open } from 'node:fs/promises'" },
      /node:fs\/promises, which is out of place/,
    ],
    ['fs without its scheme', { 'drivers/filesystem/root.ts': "import fs from 'fs'" }, /out of place/],
    ['node:http', { 'backends/s3.ts': "import http from 'node:http'" }, /node:http, which is out of place/],
    [
      'a library that is not listed',
      { 'storage.ts': "import _ from 'lodash'" },
      /lodash, which is out of place/,
    ],
    [
      'a listed library out of its file',
      { 'paths.ts': "const load = () => import('mime-types')" },
      /out of place/,
    ],
    [
      'an import that nobody can read',
      { 'storage.ts': 'const x = (y: string) => import(y)' },
      /\(an expression\), which is out of place/,
    ],
    [
      'a command that goes around the face',
      { 'cli/commands/ls.ts': "import type { Storage } from '../../storage.js'" },
      /none of its business/,
    ],
    [
      'the package that knows its command line',
      { 'index.ts': "export { main } from './cli/main.js'", 'cli/main.ts': '' },
      /which is above it/,
    ],
    ['an export of everything', { 'index.ts': "export * from './storage.js'" }, /named re-exports only/],
    [
      'an export of all of somebody else’s types',
      { 'index.ts': "export type * from './errors.js'" },
      /named re-exports only/,
    ],
    ['code in the face', { 'index.ts': 'export const version = 1' }, /named re-exports only/],
    ['any', { 'storage.ts': 'export const x: any[] = []' }, /says any/],
    ['as unknown as', { 'storage.ts': 'export const x = 1 as unknown as string' }, /says as unknown as/],
    [
      'as unknown as, in parentheses',
      { 'storage.ts': 'export const x = (1 as unknown) as string' },
      /says as unknown as/,
    ],
    ['a non-null !', { 'storage.ts': 'export const f = (x?: string) => x!.length' }, /says !/],
    ['a TODO', { 'storage.ts': '/** Fine.\n * TODO: not really */' }, /left to do/],
  ]

  it.each(broken)('finds %s', (_, change, fault) => {
    const faults = faultsOf({ 'paths.ts': '', ...sound, ...change })
    assert.equal(faults.length > 0, true)
    assert.ok(
      faults.some((found) => fault.test(found)),
      faults.join('\n'),
    )
  })

  it('is not misled by words in comments and strings', () => {
    const text =
      "// any import './transfer/migrate.js' as unknown as x!\nexport const s = \"import './transfer/migrate.js' TODO any\""
    assert.deepEqual(faultsOf({ ...sound, 'storage.ts': text }), [])
  })
})
