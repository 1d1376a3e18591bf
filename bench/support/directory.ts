/**
 * Who runs the benches and where. Root becomes an ordinary user first (`--root`: stays root), in a work directory of its
 * own that is removed at the end; what is to be kept is copied next to the sources.
 */
import { spawnSync } from 'node:child_process'
import { chownSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

/** The directory `bench` of the sources, and the compiled `dist`. */
export const sources = fileURLToPath(new URL('../../../bench', import.meta.url))
export const dist = fileURLToPath(new URL('../..', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { root: { type: 'boolean' }, runs: { type: 'string', default: '200' }, directory: { type: 'string' } },
})
/** The words of the command line. */
export const words: readonly string[] = positionals
/** Runs of each command in a race. */
export const runs = Number(values.runs)

/** Empty at the start. Set by {@link asOrdinaryUser}. */
export let work = ''
/** What lies here at the end is kept. */
export const kept = (name: string) => join(work, 'kept', name)

const ordinary = 12345

/** Runs benches, printing what they print: in another process if this one is root's. */
export async function asOrdinaryUser(benches: () => Promise<void>): Promise<void> {
  if (values.directory !== undefined) {
    work = values.directory
    await benches()
    return
  }
  work = mkdtempSync(join(tmpdir(), 'vial-bench-'))
  mkdirSync(join(work, 'kept'))
  try {
    process.env.VIAL_CACHE = join(work, 'cache')
    if (process.getuid!() !== 0 || values.root) await benches()
    else {
      for (const directory of [work, join(work, 'kept')]) chownSync(directory, ordinary, ordinary)
      const args = [...process.execArgv, ...process.argv.slice(1), '--directory', work]
      const { status } = spawnSync(process.execPath, args, {
        uid: ordinary,
        gid: ordinary,
        cwd: work,
        env: { PATH: process.env.PATH, HOME: work, VIAL_CACHE: join(work, 'cache') },
        stdio: 'inherit',
      })
      process.exitCode = status ?? 1
    }
    for (const name of readdirSync(join(work, 'kept'))) copyFileSync(kept(name), join(sources, name))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** At the end of a bench's file: runs it if it is what node was started with. */
export async function alone(url: string, bench: () => Promise<void>): Promise<void> {
  if (resolve(process.argv[1] ?? '') === fileURLToPath(url)) await asOrdinaryUser(bench)
}
