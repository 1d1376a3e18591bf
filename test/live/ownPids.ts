/**
 * For scripts that are pid 1 of a pid namespace of their own: all processes that they see are their own, and they reap none but their
 * children, as pid 1 of many containers. vial's commands, each a process, and what they leave.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** The environment variable that names directories of cgroups, with ':' between them, in which vial makes groups. */
export const groupsVariable = 'VIAL_ROUNDS_GROUPS'

interface Process {
  readonly pid: number
  readonly words: string
}

const read = (path: string) => {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
const field = (status: string, name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? ''

/**
 * All but this one, and what has ended outside of sandboxes, or was pid 1 of one whose monitor was killed: that is for this process to reap,
 * which it does not.
 */
export function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const status = /^\d+$/.test(name) && name !== String(process.pid) ? read(`/proc/${name}/status`) : ''
    const pids = field(status, 'NSpid').split(/\s+/)
    const ended = /^[ZX]/.test(field(status, 'State'))
    if (status === '' || (ended && (pids.length === 1 || pids.at(-1) === '1'))) return []
    const words = `${field(status, 'State')} ${read(`/proc/${name}/cmdline`).replaceAll('\0', ' ')}`
    return [{ pid: Number(name), words }]
  })
}

const groupBases = (process.env[groupsVariable] ?? '').split(':').filter(Boolean)
/** Whether the sandboxes of a script may have limits that a cgroup holds. */
export const haveGroups = groupBases.length > 0

/** vial's own groups, where its callers are put, are not those of a sandbox. */
const groups = (): string[] =>
  groupBases.flatMap((base) =>
    readdirSync(base, { withFileTypes: true }).flatMap((one) =>
      one.isDirectory() && one.name !== 'vial.callers' ? [join(base, one.name)] : [],
    ),
  )

/** Fails after half a minute: no machine is that slow. */
export async function nothingIsLeft(home: string, about: string): Promise<void> {
  for (let tries = 3000; ; tries--) {
    const seen = { names: readdirSync(home), processes: processes().map(({ words }) => words), groups: groups() }
    if (Object.values(seen).every(({ length }) => length === 0)) return
    if (tries === 0) throw new Error(`${about}: left: ${JSON.stringify(seen)}`)
    await sleep(10)
  }
}

export interface Said {
  /** As a shell has it: of one that was killed, 128 and the signal. */
  readonly status: number
  readonly out: string
  readonly err: string
}

export function start(words: readonly string[]): { readonly child: ChildProcess; readonly said: Promise<Said> } {
  const child = spawn(process.execPath, [vial, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const parts = [child.stdout, child.stderr].map((stream) => {
    const bytes: Buffer[] = []
    stream.on('data', (chunk) => bytes.push(chunk))
    return bytes
  })
  // Not 'close': what it has started may hold its output.
  const said = once(child, 'exit').then(([code, signal]) => {
    const [out, err] = parts.map((bytes) => Buffer.concat(bytes).toString())
    return { status: code ?? 128 + constants.signals[signal as NodeJS.Signals], out: out!, err: err! }
  })
  return { child, said }
}

/** Fails when the command does. */
export async function call(about: string, ...words: string[]): Promise<void> {
  const { status, out, err } = await start(words).said
  if (status !== 0) throw new Error(`${about}: vial ${words.join(' ')}: ${status} ${out}${err}`)
}

/** mulberry32. */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Calls `rounds` with a directory of records of its own; afterwards nothing may be left of them, nor a mount. */
export async function inOwnHome(rounds: (home: string) => Promise<void>): Promise<void> {
  const runtime = mkdtempSync(join(tmpdir(), 'vial-rounds-'))
  process.env.XDG_RUNTIME_DIR = runtime
  const home = join(runtime, 'vial')
  const mounts = read('/proc/self/mountinfo')
  try {
    await call('first', 'start', '--name', 'first')
    await call('first', 'stop', '--rm', 'first')
    await rounds(home)
    await nothingIsLeft(home, 'the end')
    if (read('/proc/self/mountinfo') !== mounts) throw new Error('a mount is left')
  } finally {
    // The kernel's own directories of an overlay are closed to their owner.
    spawnSync('chmod', ['-R', 'u+rwX', runtime], { stdio: 'ignore' })
    rmSync(runtime, { recursive: true, force: true })
  }
}
