// Bundles the compiled command into one file, which start.cts runs. `--remove` takes it away before a build, so that a
// build that fails leaves none that is older than the modules.
import { readdirSync, rmSync } from 'node:fs'

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
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    define: {
      'import.meta.url': 'bundleUrl',
      bundledBuild: JSON.stringify(id),
    },
    banner: { js: `//${id}\nconst bundleUrl = require("node:url").pathToFileURL(__filename).href;` },
    logLevel: 'warning',
  })
}
