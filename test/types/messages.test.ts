/** What the compiler says of a wrong policy names the key, and is no list of all that would be right. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')

/** A policy, and what is said of it first. */
const wrong: readonly (readonly [string, RegExp])[] = [
  ["{ filesystem: [{ bnd: '/x' }] }", /'bnd' does not exist in type 'StrictEntry'\. Did you mean to write 'bind'\?$/],
  [
    "{ filesystem: [{ bind: '/x', wriable: true }] }",
    /'wriable' .* type 'BindEntry'\. Did you mean to write 'writable'\?$/,
  ],
  [
    "{ filesystem: [{ bind: '/x', writable: 'yes' }] }",
    /^Type 'string' is not assignable to type 'boolean \| undefined'\.$/,
  ],
  [
    "{ filesystem: [{ bind: '/x', tmpfs: '/y' }] }",
    /'\{ bind: string; tmpfs: string; \}' is not assignable to type 'StrictEntry'\.$/,
  ],
  [
    "{ filesystem: [{ bind: '/x', size: '64M' }] }",
    /^Type 'string' is not assignable to type 'undefined'|'Size \| undefined'\.$/,
  ],
  [
    "{ filesystem: [{ tmpfs: '/x', size: '256 MB' }] }",
    /^Type '"256 MB"' is not assignable to type 'Size \| undefined'\.$/,
  ],
  ["{ limits: { memory: '256 MB' } }", /^Type '"256 MB"' is not assignable to type 'Size \| undefined'\.$/],
  ["{ limits: { wallTime: '5sec' } }", /^Type '"5sec"' is not assignable to type 'Duration \| undefined'\.$/],
  ['{ limits: { disk: { siz: 5 } } }', /'siz' does not exist .* Did you mean to write 'size'\?$/],
  [
    "{ namespaces: { net: { pid: 1, path: 'x' } } }",
    /^Type '(number|string)' is not assignable to type 'undefined'\.$/,
  ],
  [
    '{ rlimits: { as: { soft: 1 } } }',
    /^Type '\{ soft: number; \}' is not assignable to type 'Rlimit \| undefined'\.$/,
  ],
  [
    "{ seccomp: { default: 'alow', rules: [] } }",
    /^Type '"alow"' is not assignable to type .* Did you mean '"allow"'\?$/,
  ],
  [
    "{ seccomp: { default: { erno: 'EPERM' }, rules: [] } }",
    /'erno' does not exist .* Did you mean to write 'errno'\?$/,
  ],
]

test('messages of the compiler are about the key', () => {
  const name = resolve(top, 'test/types/wrong.mts')
  const lines = wrong.map(([policy], index) => `export const p${index}: Policy = ${policy}`)
  const text = [`import type { Policy } from '${resolve(top, 'dist/src/index.js')}'`, ...lines].join('\n')
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.Node16,
    moduleResolution: ts.ModuleResolutionKind.Node16,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [resolve(top, 'node_modules/@types')],
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = (file) => file === name || fileExists(file)
  host.getSourceFile = (file, language) =>
    file === name ? ts.createSourceFile(file, text, language) : getSourceFile.call(host, file, language)
  const source = ts.createProgram([name], options, host)
  const found = source.getSemanticDiagnostics(source.getSourceFile(name))
  for (const [index, [policy, says]] of wrong.entries()) {
    const about = found.filter(({ file, start }) => file?.getLineAndCharacterOfPosition(start ?? 0).line === index + 1)
    assert.equal(about.length, 1, `${policy}: ${about.length} messages`)
    const [said = ''] = ts.flattenDiagnosticMessageText(about[0]!.messageText, '\n').split('\n')
    assert.match(said, says, policy)
    assert.ok(said.length < 250, `${policy}: ${said}`)
  }
})
