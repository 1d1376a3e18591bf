/**
 * Named sandboxes started, entered and ended many times, and killed at random moments; after each round nothing may be left. It is pid 1
 * of a pid namespace of its own, so that all processes that it sees are its own, and it reaps none but its children, as in many containers:
 *
 *     unshare -pf --mount-proc node dist/test/live/rounds.js cycles|kills COUNT [SEED]
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

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
function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const status = /^\d+$/.test(name) && name !== String(process.pid) ? read(`/proc/${name}/status`) : ''
    const pids = field(status, 'NSpid').split(/\s+/)
    const ended = /^[ZX]/.test(field(status, 'State'))
    if (status === '' || (ended && (pids.length === 1 || pids.at(-1) === '1'))) return []
    const words = `${field(status, 'State')} ${read(`/proc/${name}/cmdline`).replaceAll('\0', ' ')}`
    return [{ pid: Number(name), words }]
  })
}

/** What a round may not leave. */
const left = (home: string) => ({ names: readdirSync(home), processes: processes().map(({ words }) => words) })

/** Fails after half a minute: no machine is that slow. */
async function nothingIsLeft(home: string, about: string): Promise<void> {
  for (let tries = 3000; ; tries--) {
    const seen = left(home)
    if (seen.names.length + seen.processes.length === 0) return
    if (tries === 0) throw new Error(`${about}: left: ${JSON.stringify(seen)}`)
    await sleep(10)
  }
}

interface Said {
  readonly status: number | null
  readonly out: string
}

function start(words: readonly string[]): { readonly child: ChildProcess; readonly said: Promise<Said> } {
  const child = spawn(process.execPath, [vial, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const parts: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => parts.push(bytes))
  // Not 'close': what it has started may hold its output.
  const said = once(child, 'exit').then(([status]) => ({ status, out: Buffer.concat(parts).toString() }))
  return { child, said }
}

async function call(about: string, ...words: string[]): Promise<void> {
  const { status, out } = await start(words).said
  if (status !== 0) throw new Error(`${about}: vial ${words.join(' ')}: ${status} ${out}`)
}

/** Four at a time. */
async function cycles(count: number): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let index = next++; index < count; index = next++) {
      const [name, about] = [`box${index}`, `cycle ${index}`]
      await call(about, 'start', '--name', name)
      await call(about, 'exec', name, 'true')
      await call(about, 'stop', '--rm', name)
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
}

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

const library = `
const { sandbox } = await import(${JSON.stringify(new URL('../../src/index.js', import.meta.url).href)})
const box = await sandbox({ preset: 'system' }).open()
await box.run('sleep', ['600'])`

/** Which command is run, beside a sandbox called box where it needs one, and whether that is to run on when it is killed. */
const commands: Readonly<
  Record<string, { readonly words: readonly string[]; readonly beside?: true; readonly stays?: true }>
> = {
  start: { words: [vial, 'start', '--name', 'box', '--', 'sleep', '600'] },
  exec: { words: [vial, 'exec', 'box', 'sleep', '600'], beside: true, stays: true },
  stop: { words: [vial, 'stop', 'box'], beside: true },
  rm: { words: [vial, 'rm', '-f', 'box'], beside: true },
  library: { words: ['--input-type=module', '-e', library] },
}
/** What is killed: the command itself, or any process that it, or a sandbox, has by then. */
const victims = ['command', 'any'] as const

async function kills(home: string, count: number, seed: number): Promise<void> {
  const next = random(seed)
  const pick = <One>(all: readonly One[]): One => all[Math.floor(next() * all.length)]!
  for (let round = 0; round < count; round++) {
    const [kind, victim, moment] = [pick(Object.keys(commands)), pick(victims), next()]
    const { words, beside, stays } = commands[kind]!
    const about = `seed ${seed}, round ${round}: ${victim} of ${kind} after ${Math.round(moment * 300)} ms`
    if (beside) await call(about, 'start', '--name', 'box')
    const child = spawn(process.execPath, words, { stdio: 'ignore' })
    const ended = once(child, 'exit')
    await sleep(moment * 300)
    if (victim === 'command') child.kill('SIGKILL')
    else {
      const one = pick(processes())
      try {
        if (one !== undefined) process.kill(one.pid, 'SIGKILL')
      } catch {}
    }
    // What was to wait for ever, waits.
    child.kill('SIGKILL')
    await ended
    if (stays && victim === 'command') await call(about, 'exec', 'box', 'true')
    await call(about, 'ps')
    // A starter that was killed ends its sandbox a moment later.
    for (const name of readdirSync(home)) if (!name.startsWith('.')) await start(['rm', '-f', name]).said
    // A name that was never taken is removed by the next start.
    if (readdirSync(home).some((name) => name.startsWith('.'))) {
      await call(about, 'start', '--name', 'next')
      await call(about, 'stop', '--rm', 'next')
    }
    await nothingIsLeft(home, about)
  }
}

async function main([what, count, seed = String(randomInt(2 ** 31))]: readonly string[]): Promise<void> {
  const runtime = mkdtempSync(join(tmpdir(), 'vial-rounds-'))
  process.env.XDG_RUNTIME_DIR = runtime
  const home = join(runtime, 'vial')
  const mounts = read('/proc/self/mountinfo')
  const begun = performance.now()
  try {
    await call('first', 'start', '--name', 'first')
    await call('first', 'stop', '--rm', 'first')
    if (what === 'cycles') await cycles(Number(count))
    else await kills(home, Number(count), Number(seed))
    await nothingIsLeft(home, 'the end')
    if (read('/proc/self/mountinfo') !== mounts) throw new Error('a mount is left')
    console.log(`${what}: ${count} rounds, seed ${seed}: nothing is left, ${Math.round(performance.now() - begun)} ms`)
  } finally {
    rmSync(runtime, { recursive: true, force: true })
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) await main(process.argv.slice(2))
