/**
 * Writes the code caches that start.cts reads. V8 puts into one what was called by then: so each is written behind a usual run,
 * in a process of its own: `warm.js BUNDLE ENTRY ARGUMENT…`.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { replaceFile } from '../cache/wholeFile.js'
import { none } from '../front/format.js'

const script = fileURLToPath(import.meta.url)
const directory = join(script, '../bundle')
const main = join(script, '../main.cjs')
const { bundles, start } = createRequire(script)('./start.cjs') as typeof import('./start.cjs')

type Entry = 'vial' | 'exec' | 'front'
type Name = Entry | 'limits' | 'own' | 'later'

const run = ['run', '--', 'true']
/** With limits too, by whatever holds a sandbox to them here. */
const limited =
  'run --limits-optional --memory 1G --cpu-time 60s --wall-time 60s --output 1M --fill true -- true'.split(' ')
/** Options of most kinds, for whatever is compiled first. */
const options =
  '--unshare-all --die-with-parent --new-session --clearenv --setenv HOME / --ro-bind /usr /usr --ro-bind-try /lib /lib ' +
  '--symlink usr/bin /bin --proc /proc --dev /dev --tmpfs /tmp --dir /run --bind / /mnt --chdir /'
/** What is entered: if this process is killed, it ends by itself. */
const started = 'start --name warm -- sleep 60'.split(' ')
const entered = 'exec warm true'.split(' ')
const enteredWithLimits = 'exec --wall-time 60s --output 1M warm true'.split(' ')

/** Without them everything works, and starts more slowly. */
export function writeCodeCaches(): void {
  removeCodeCaches()
  const cache = mkdtempSync(join(tmpdir(), 'vial-warm-'))
  try {
    const { NODE_OPTIONS, ...env } = process.env
    const node = (...args: readonly string[]) =>
      spawnSync(process.execPath, args, {
        stdio: 'ignore',
        timeout: 60_000,
        env: { ...env, VIAL_CACHE: cache, XDG_RUNTIME_DIR: cache },
      })
    const warm = (name: Name, entry: Entry, ...args: readonly string[]) => node(script, name, entry, ...args)
    // The first runs compile, the others find their vials.
    warm('later', 'vial', ...run)
    warm('later', 'vial', ...limited)
    warm('limits', 'vial', ...limited)
    warm('vial', 'vial', ...limited)
    warm('front', 'front', none, 'bwrap', ...options.split(' '), 'true')
    node(main, ...started)
    try {
      // The first compiles, the second finds its vial.
      node(main, ...enteredWithLimits)
      warm('own', 'exec', ...enteredWithLimits)
      warm('exec', 'exec', ...entered)
    } finally {
      node(main, 'rm', '-f', 'warm')
    }
  } finally {
    rmSync(cache, { recursive: true, force: true })
  }
}

export function removeCodeCaches(): void {
  for (const name of readdirSync(directory)) if (name.endsWith('.v8cache')) rmSync(join(directory, name))
}

async function warm(name: Name, entry: Entry, args: readonly string[]): Promise<void> {
  await start(entry, args)
  const bundle = bundles.get(name)
  if (bundle === undefined) return
  replaceFile(bundle.cache, bundle.script.createCachedData(), 0o644)
}

if (process.argv[1] === script) {
  const [name, entry, ...args] = process.argv.slice(2)
  await warm(name as Name, entry as Entry, args)
}
