/** Every public member has a docstring, so that an editor shows what it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import ts from 'typescript'
import { checker, source } from '../support/declarations.js'

/** Names of members, as far as they are declared here, and whether they have a text. */
function members(): Map<string, boolean> {
  const found = new Map<string, boolean>()
  const seen = new Set<ts.Type>()
  const documented = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length > 0
  const ours = (symbol: ts.Symbol) =>
    symbol.declarations?.some(({ pos, ...node }) => pos >= 0 && isOurs((node as unknown as ts.Node).parent)) ?? true
  const isOurs = (node: ts.Node): boolean => !node.getSourceFile().fileName.includes('/node_modules/')
  const visit = (type: ts.Type, path: string, depth: number): void => {
    if (depth > 6 || seen.has(type)) return
    seen.add(type)
    if (type.isUnion()) {
      for (const part of type.types) visit(part, path, depth)
      return
    }
    for (const signature of type.getCallSignatures()) {
      const result = signature.getReturnType()
      visit(result, `${path}()`, depth + 1)
      for (const argument of signature.getTypeParameters() ?? []) visit(argument, path, depth + 1)
    }
    const element = checker.getIndexTypeOfType(type, ts.IndexKind.Number)
    if (element !== undefined && checker.isArrayLikeType(type)) {
      visit(element, `${path}[]`, depth + 1)
      return
    }
    if ((type.flags & ts.TypeFlags.Object) === 0 && !type.isIntersection()) return
    // What is inferred of our schema is a mapped type of valibot's, and its keys are ours.
    const isMapped = ((type as ts.ObjectType).objectFlags & ts.ObjectFlags.Mapped) !== 0
    if (!isMapped && type.symbol?.declarations?.every((one) => !isOurs(one)) && type.aliasSymbol === undefined) return
    for (const property of type.getProperties()) {
      if (property.name.startsWith('__') || !ours(property)) continue
      const one = checker.getTypeOfSymbol(property)
      if (one.flags & ts.TypeFlags.Never) continue
      // What every other kind of entry forbids: `?: never`.
      if (checker.getNonNullableType(one).flags & ts.TypeFlags.Never) continue
      if (property.getJsDocTags(checker).some((tag) => tag.name === 'internal')) continue
      const name = `${path}.${property.name}`
      found.set(name, (found.get(name) ?? false) || documented(property))
      visit(checker.getNonNullableType(one), name, depth + 1)
    }
  }
  for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(source)!)) {
    const real = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    found.set(symbol.name, documented(real) || documented(symbol))
    const type =
      real.flags & (ts.SymbolFlags.TypeAlias | ts.SymbolFlags.Interface | ts.SymbolFlags.Class)
        ? checker.getDeclaredTypeOfSymbol(real)
        : checker.getTypeOfSymbol(real)
    visit(type, symbol.name, 0)
  }
  return found
}

test('every public member has a text', () => {
  const found = members()
  assert.ok(found.size > 100, `${found.size} members`)
  // Profiles of system calls have formats of their own, the OCI's among them, which docs/seccomp.md describes.
  // Sizes of huge pages are their own text.
  const elsewhere =
    /^((Policy|checkPolicy\(\)|Compiled\.policy)\.seccomp\.|profiles|OciProfile|SeccompProfile)|\.hugepages\.|#private$/
  const silent = [...found].filter(([name, has]) => !has && !elsewhere.test(name)).map(([name]) => name)
  assert.equal(silent.join('\n'), '')
})
