// The library once more for `require`, in dist/cjs: one file, and the declarations that it needs, which are CommonJS's
// there because the nearest package.json says so. Node before 20.19 cannot require an ES module.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { build } from 'esbuild'

const sources = resolve('dist/src')
const directory = resolve('dist/cjs')
rmSync(directory, { recursive: true, force: true })
mkdirSync(directory, { recursive: true })
writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }\n')
await build({
  entryPoints: [join(sources, 'index.js')],
  outfile: join(directory, 'index.js'),
  bundle: true,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // src/compile/trustedPaths.ts finds its file by __filename instead.
  define: { 'import.meta.url': 'undefined' },
  logLevel: 'warning',
})
const seen = new Set()
copyDeclaration(join(sources, 'index.d.ts'))

function copyDeclaration(path) {
  if (seen.has(path)) return
  seen.add(path)
  const text = readFileSync(path, 'utf8')
  const copy = join(directory, relative(sources, path))
  mkdirSync(dirname(copy), { recursive: true })
  writeFileSync(copy, text)
  for (const [, name] of text.matchAll(/(?:from|import\() ?['"](\.[^'"]+)\.js['"]/g))
    copyDeclaration(resolve(dirname(path), `${name}.d.ts`))
}
