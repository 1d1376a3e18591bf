// Bundles the compiled command into the files that start.cts runs: each entry with what it loads at once, one file with what runs with
// limits load besides, one with what enters a sandbox with limits, and one with all else that is loaded later. `--remove` takes them
// away before a build, so that a build that fails leaves none that is older than the modules.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

const sources = resolve('dist/src')
const directory = resolve(sources, 'cli/bundle')
// `atOnce`: what the bundle of the entry has, though it is loaded by import(), for these commands should not wait.
const entries = {
  vial: { path: 'cli/vial.js', atOnce: 'cli/runCommand.js' },
  exec: { path: 'cli/vial.js', atOnce: 'cli/execCommand.js' },
  front: { path: 'bwrap/compileForFront.js' },
}
// What import() names is in the bundle `later`, except these.
const bundleOf = { 'cli/limited.js': 'limits', 'cli/passOn.js': 'limits', 'live/ownEntrant.js': 'own' }

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
  const waits = (atOnce) => ({ name: 'later', setup: leaveOut(later, atOnce) })
  const part = (name, ...plugins) => {
    const lines = [...later]
      .filter((path) => (bundleOf[path] ?? 'later') === name)
      .sort()
      .map((path) => `${JSON.stringify(path)}: () => require(${JSON.stringify(`./${path}`)}),`)
    const contents = `module.exports = {\n${lines.join('\n')}\n}`
    return bundle(name, { stdin: { contents, resolveDir: sources } }, ...plugins)
  }
  for (const [name, { path, atOnce }] of Object.entries(entries))
    await bundle(name, { entryPoints: [resolve(sources, path)] }, waits(atOnce))
  for (const name of ['limits', 'own']) await part(name, waits())
  await part('later')
}

/** Each module keeps its own place: `import.meta.url` is what it would be without the bundle. */
function places({ onLoad }) {
  onLoad({ filter: /dist\/src\/.*\.js$/ }, ({ path }) => {
    const url = `moduleUrl(${JSON.stringify(relative(directory, path))})`
    return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url) }
  })
}

/** What import() names stays outside, by its bundle and its path from the sources: start.cts finds it. */
function leaveOut(found, atOnce) {
  return ({ onResolve }) => {
    onResolve({ filter: /^\./ }, ({ kind, path, importer }) => {
      if (kind !== 'dynamic-import') return
      const name = relative(sources, resolve(dirname(importer), path))
      if (name === atOnce) return
      found.add(name)
      return { path: `./${bundleOf[name] ?? 'later'}#${name}`, external: true }
    })
  }
}
