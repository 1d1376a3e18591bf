/**
 * Writes the code caches that start.cts reads. V8 puts into one what was called by then: so each is written behind a usual run,
 * in a process of its own: `warm.js ENTRY ARGUMENT…`.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { none } from '../front/format.js'
import { temporaryName } from '../run/cache.js'

const script = fileURLToPath(import.meta.url)
const folder = join(script, '..')
const { compileBundle, runBundle } = createRequire(script)('./start.cjs') as typeof import('./start.cjs')

const run = ['run', '--', 'true']
/** Options of most kinds, for whatever is compiled first. */
const options =
  '--unshare-all --die-with-parent --new-session --clearenv --setenv HOME / --ro-bind /usr /usr --ro-bind-try /lib /lib ' +
  '--symlink usr/bin /bin --proc /proc --dev /dev --tmpfs /tmp --dir /run --bind / /mnt --chdir /'

/** Without them everything works, and starts more slowly. */
export function writeCodeCaches(): void {
  removeCodeCaches()
  const cache = mkdtempSync(join(tmpdir(), 'vial-warm-'))
  try {
    const { NODE_OPTIONS, ...env } = process.env
    const node = (...args: readonly string[]) =>
      spawnSync(process.execPath, args, { stdio: 'ignore', timeout: 60_000, env: { ...env, VIAL_CACHE: cache } })
    // The run that counts finds its vial.
    node(join(folder, 'main.js'), ...run)
    node(script, 'vial', ...run)
    node(script, 'front', none, none, ...options.split(' '), 'true')
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
}

export function removeCodeCaches(): void {
  for (const name of readdirSync(folder)) if (name.endsWith('.v8cache')) rmSync(join(folder, name))
}

async function warm(entry: 'vial' | 'front', args: readonly string[]): Promise<void> {
  const bundle = compileBundle(entry)
  if (bundle === undefined) return
  await (await runBundle(bundle).entries[entry]()).main(args)
  const temporary = temporaryName(bundle.cache)
  writeFileSync(temporary, bundle.script.createCachedData())
  renameSync(temporary, bundle.cache)
}

if (process.argv[1] === script) await warm(process.argv[2] as 'vial' | 'front', process.argv.slice(3))
