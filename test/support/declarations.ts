/** What the package's declarations say, as the compiler of a program that imports them sees it. */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const entry = resolve(top, 'dist/src/index.d.ts')
const program = ts.createProgram([entry], {
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  types: ['node'],
  typeRoots: [resolve(top, 'node_modules/@types')],
})
export const checker = program.getTypeChecker()
export const source = program.getSourceFile(entry)!
