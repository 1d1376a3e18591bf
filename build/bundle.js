// Bundles the compiled command into the files that start.cts runs: each entry with what it loads at once, one file with what
// runs with limits load besides, and one with all that is loaded later. `--remove` takes them away before a build, so that a build that fails leaves none that
// is older than the modules.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

const sources = resolve('dist/src')
const directory = resolve(sources, 'cli/bundle')
const entries = { vial: 'cli/vial.js', front: 'bwrap/compileForFront.js' }
// `vial run` should not wait: the bundle of the entry has it, though it is loaded by import().
const atOnce = ['cli/runCommand.js']
// What import() names is in the bundle `later`, except these.
const bundleOf = { 'cli/limited.js': 'limits', 'cli/passOn.js': 'limits' }

rmSync(directory, { recursive: true, force: true })
if (!process.argv.includes('--remove')) {
  mkdirSync(directory)
  const { build } = await import('esbuild')
  const { buildOf } = await import('../dist/src/bwrap/frontFile.js')
  const id = Buffer.from(buildOf()).toString('hex')
  const bundle = (name, input, ...plugins) =>
    build({
      ...input,
      outfile: `${directory}/${name}.cjs`,
      bundle: true,
      platform: 'node',
      target: 'node20',
      format: 'cjs',
      // vm.Script has no import(): Node's own modules are required.
      supported: { 'dynamic-import': false },
      minify: true,
      legalComments: 'none',
      define: { bundledBuild: JSON.stringify(id) },
      banner: {
        js: `//${id}\nconst moduleUrl = (path) => new URL(path, require("node:url").pathToFileURL(__filename)).href;`,
      },
      plugins: [{ name: 'places', setup: places }, ...plugins],
      logLevel: 'warning',
    })
  const later = new Set()
  for (const [name, entry] of Object.entries(entries))
    await bundle(name, { entryPoints: [resolve(sources, entry)] }, { name: 'later', setup: leaveOut(later) })
  for (const name of ['limits', 'later']) {
    const lines = [...later]
      .filter((path) => (bundleOf[path] ?? 'later') === name)
      .sort()
      .map((path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(`./${path}`)}),`)
    await bundle(name, { stdin: { contents: `module.exports = {\n${lines.join('\n')}\n}`, resolveDir: sources } })
  }
}

/** Each module keeps its own place: `import.meta.url` is what it would be without the bundle. */
function places({ onLoad }) {
  onLoad({ filter: /dist\/src\/.*\.js$/ }, ({ path }) => {
    const url = `moduleUrl(${JSON.stringify(relative(directory, path))})`
    return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url) }
  })
}

/** What import() names stays outside, by its bundle and its path from the sources: start.cts finds it. */
function leaveOut(found) {
  return ({ onResolve }) => {
    onResolve({ filter: /^\./ }, ({ kind, path, importer }) => {
      if (kind !== 'dynamic-import') return
      const name = relative(sources, resolve(dirname(importer), path))
      if (atOnce.includes(name)) return
      found.add(name)
      return { path: `./${bundleOf[name] ?? 'later'}#${name}`, external: true }
    })
  }
}
