import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { describe, it } from 'vitest'

const ENTRIES = ['index.ts', 'http.ts', 'testing.ts'].map((file) =>
  fileURLToPath(new URL(`../../src/${file}`, import.meta.url)),
)

/** Every export, and every public field and method of it, that an editor would show without a word. */
function withoutText(files: readonly string[]): string[] {
  const program = ts.createProgram(files, {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
  })
  const checker = program.getTypeChecker()
  const missing = new Set<string>()
  for (const file of files) {
    const source = program.getSourceFile(file)
    const symbol = source && checker.getSymbolAtLocation(source)
    assert.ok(symbol, file)
    for (const exported of checker.getExportsOfModule(symbol)) {
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      if (!hasText(target, checker)) missing.add(exported.name)
      for (const member of membersOf(target, checker)) {
        if (!hasText(member, checker)) missing.add(`${exported.name}.${member.name}`)
      }
    }
  }
  return [...missing].sort()
}

function hasText(symbol: ts.Symbol, checker: ts.TypeChecker): boolean {
  return symbol.getDocumentationComment(checker).length > 0
}

/** The members that this package declares, of classes and interfaces. */
function membersOf(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Symbol[] {
  if (!(symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface))) return []
  return checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).filter((member) => {
    const declarations = member.declarations ?? []
    const isOurs = declarations.some((it) => !it.getSourceFile().fileName.includes('node_modules'))
    // A symbol such as Symbol.asyncIterator explains itself.
    return isOurs && !/^(?:__@|#|__#)/.test(member.name) && !declarations.some(isHidden)
  })
}

function isHidden(declaration: ts.Declaration): boolean {
  if (ts.isPropertyDeclaration(declaration) && ts.isPrivateIdentifier(declaration.name)) return true
  return (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) !== 0
}

describe('hover text', () => {
  it('is there for every export and every field', () => {
    assert.deepEqual(withoutText(ENTRIES), [])
  })
})
