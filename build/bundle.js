// Bundles the compiled command into one file, which start.cts runs. `--remove` takes it away before a build, so that a
// build that fails leaves none that is older than the modules.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { relative, resolve } from 'node:path'

const folder = 'dist/src/cli'

if (process.argv.includes('--remove')) {
  try {
    for (const name of readdirSync(folder)) if (/^bundle\.cjs$|\.v8cache$/.test(name)) rmSync(`${folder}/${name}`)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
} else {
  const { build } = await import('esbuild')
  const { buildOf } = await import('../dist/src/cli/bwrap/frontFile.js')
  const id = Buffer.from(buildOf()).toString('hex')
  await build({
    entryPoints: [`${folder}/entries.js`],
    outfile: `${folder}/bundle.cjs`,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // vm.Script has no import(): Node's own modules are required.
    supported: { 'dynamic-import': false },
    minify: true,
    legalComments: 'none',
    define: {
      bundledBuild: JSON.stringify(id),
    },
    banner: {
      js: `//${id}\nconst moduleUrl = (path) => new URL(path, require("node:url").pathToFileURL(__filename)).href;`,
    },
    plugins: [{ name: 'places', setup: places }],
    logLevel: 'warning',
  })
}

/** Each module keeps its own place: `import.meta.url` is what it would be without the bundle. */
function places({ onLoad }) {
  onLoad({ filter: /dist\/src\/.*\.js$/ }, ({ path }) => {
    const url = `moduleUrl(${JSON.stringify(relative(resolve(folder), path))})`
    return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url) }
  })
}
