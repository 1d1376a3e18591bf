/** The package as others use it: from a project of their own, by `import`, by `require`, bundled, and type-checked as either. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import ts from 'typescript'
import { user, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const caller = user
const project = workDirectory(caller, 'project')
mkdirSync(join(project, 'node_modules'))
symlinkSync(top, join(project, 'node_modules/vial'))

const use = `const run: Promise<string> = sandbox({ preset: 'system' }).run('echo', ['hello']).then(({ stdout }) => stdout)
run.then((text) => process.stdout.write(text))
`
const programs = {
  'imports.mts': `import { sandbox, type Policy } from 'vial'\nconst policy: Policy = { preset: 'system' }\nvoid policy\n${use}`,
  'requires.cts': `import vial = require('vial')\nconst { sandbox } = vial\n${use}`,
}
for (const [name, text] of Object.entries(programs)) writeFileSync(join(project, name), text)

const options: ts.CompilerOptions = {
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  target: ts.ScriptTarget.ES2022,
  strict: true,
  // Such a project has no @types/node of its own: vial's declarations bring it.
  types: [],
  outDir: join(project, 'out'),
}

function run(path: string): string {
  const { stdout, stderr } = spawnSync(process.execPath, [path], {
    encoding: 'utf8',
    cwd: project,
    env: { HOME: workDirectory(caller, 'home'), PATH: process.env.PATH ?? '' },
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  assert.equal(stderr, '')
  return stdout
}

describe('a project that uses it', () => {
  for (const name of Object.keys(programs)) {
    test(`${name} type-checks and runs`, () => {
      const program = ts.createProgram([join(project, name)], options)
      const faults = ts
        .getPreEmitDiagnostics(program)
        .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
      assert.deepEqual(faults, [])
      program.emit()
      assert.equal(run(join(project, 'out', name.replace(/ts$/, 'js'))), 'hello\n')
    })
  }

  for (const format of ['cjs', 'esm'] as const) {
    test(`a bundle in ${format}, without the package beside it, runs`, async () => {
      const outfile = join(project, `bundled.${format === 'cjs' ? 'cjs' : 'mjs'}`)
      await build({
        stdin: { contents: programs['imports.mts'], resolveDir: project, loader: 'ts' },
        bundle: true,
        platform: 'node',
        logLevel: 'silent',
        format,
        outfile,
        ...(format === 'esm'
          ? {
              banner: {
                js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
              },
            }
          : {}),
      })
      assert.equal(run(outfile), 'hello\n')
    })
  }
})

test('the links of the documents in the package lead to files in it', () => {
  const { files } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { files: string[] }
  const packed = (path: string) => files.some((name) => path === name || path.startsWith(`${name}/`))
  const documents = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'examples/README.md', 'bench/README.md']
  for (const name of readdirSync(join(top, 'docs'))) if (name.endsWith('.md')) documents.push(`docs/${name}`)
  const astray = documents.flatMap((document) =>
    [...readFileSync(join(top, document), 'utf8').matchAll(/(?:\]\(|\bsrc(?:set)?=")(?!https?:|#)([^)#\s"]+)/g)]
      .map(([, link]) => join(dirname(document), link!))
      .filter((path) => !packed(path) || !existsSync(join(top, path)))
      .map((path) => `${document}: ${path}`),
  )
  assert.deepEqual(astray, [])
})

// npm installs these in a checkout, and warns (EBADENGINE) of each that asks for a newer Node.js.
test('each dependency works with the oldest Node.js that vial works with', () => {
  const read = (path: string) => JSON.parse(readFileSync(join(top, path), 'utf8'))
  const { engines, dependencies, devDependencies } = read('package.json')
  const oldest = Number(/^>=(\d+)$/.exec(engines.node)![1])
  const admits = (range: string) =>
    range.split('||').some((part) => {
      const [, sign, major] = /^\s*(>=|\^|~|)v?(\d+)/.exec(part) ?? []
      return sign === '>=' ? Number(major) <= oldest : Number(major) === oldest
    })
  const newer = Object.keys({ ...dependencies, ...devDependencies }).filter((name) => {
    const range: string = read(`node_modules/${name}/package.json`).engines?.node ?? '>=0'
    return !admits(range)
  })
  assert.deepEqual(newer, [])
})
