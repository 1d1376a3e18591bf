/**
 * Each operation of an open sandbox, with a kill at a random moment: of the program that does it (boxWorker.ts), or of what serves it. Behind
 * each round nothing is left that was tied to that program, what has a name lives on, and each file of the host is whole. It is pid 1 of a
 * pid namespace of its own (ownPids.ts):
 *
 *     unshare -pf --mount-proc node dist/test/live/boxRounds.js COUNT [SEED] [KIND]
 */
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { attempt } from '../../src/text/attempt.js'
import { childrenOf } from '../support/processes.js'
import { halfWritten, names, ofWorkTree, operations, prepare, type Victim, version } from './boxWorker.js'
import { call, haveGroups, inOwnHome, nothingIsLeft, random, start } from './ownPids.js'

const worker = fileURLToPath(new URL('boxWorker.js', import.meta.url))
const kinds = Object.keys(operations)
/** Milliseconds: no machine is that slow. */
const patience = 120_000

/** None of one that has ended. */
const children = (pid: number): readonly number[] => attempt(() => childrenOf(pid)) ?? []
const below = (pid: number): readonly number[] => children(pid).flatMap((one) => [one, ...below(one)])

/** The processes that there are of each, at this moment; of a pool, there is no monitor: 0. */
const processesOf: Readonly<Record<Victim, (node: number, monitor: number) => readonly number[]>> = {
  node: (node) => [node],
  monitor: (_, monitor) => [monitor],
  init: (_, monitor) => children(monitor),
  server(node, monitor) {
    const others = children(node).filter((pid) => pid !== monitor)
    const gates = monitor === 0 ? [] : others.flatMap(children)
    return gates.length > 0 ? gates : others
  },
  any(node, monitor) {
    const kept = [monitor, ...children(monitor)]
    return below(node).filter((pid) => !kept.includes(pid))
  },
}

const victimsOf = (kind: string): readonly Victim[] =>
  kind === 'pool' ? ['node', 'server', 'any'] : ['node', 'node', 'monitor', 'init', 'server', 'any']

interface Round {
  readonly kind: string
  readonly victim: Victim
  /** From 0 to 1: when, and which of those that there are. */
  readonly moment: number
  readonly which: number
  /** Before it says that its sandbox is open; the program itself is killed then. */
  readonly early: boolean
}

/** Kills, and waits for the program's end. Whether there was something to be killed. */
async function kill({ kind, victim, early, moment, which }: Round, directory: string): Promise<boolean> {
  const words = [worker, kind, directory, haveGroups ? 'limited' : '']
  const child = spawn(process.execPath, words, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes) => {
    said += bytes
  })
  child.stdin.on('error', () => {})
  const ended = once(child, 'exit')
  const ready = once(createInterface(child.stdout), 'line')
  let found: number | undefined = child.pid!
  if (early) await sleep(moment * 800)
  else {
    const [line] = await Promise.race([ready, ended])
    const monitor = Number(/^ready (\d+)$/.exec(String(line))?.[1])
    if (Number.isNaN(monitor)) throw new Error(`it was not ready: ${said}`)
    await sleep(moment * 100)
    // A process that serves one operation is not always there.
    for (let tries = 0; tries < 100; tries++) {
      const all = processesOf[victim](child.pid!, monitor)
      found = all[Math.floor(which * all.length)]
      if (found !== undefined) break
      await sleep(1)
    }
  }
  try {
    if (found !== undefined) process.kill(found, 'SIGKILL')
  } catch {}
  if (victim !== 'node') {
    child.stdin.write(`${victim}\n`)
    const inTime = await Promise.race([ended, sleep(patience, false, { ref: false })])
    child.kill('SIGKILL')
    if (!inTime) throw new Error(`it does not end: ${said}`)
    if (child.exitCode !== 0) throw new Error(`${child.exitCode ?? child.signalCode}: ${said}`)
  }
  await ended
  return found !== undefined
}

async function after({ kind, victim }: Round, directory: string, about: string): Promise<void> {
  if (kind === 'named') {
    if (victim !== 'monitor' && victim !== 'init') await call(about, 'exec', 'box', 'true')
    await start(['rm', '-f', 'box']).said
  }
  // Commits that were cut are finished, and layers, groups and begun copies removed, by the next that makes one, or so.
  if (victim === 'node' && (haveGroups || kind === 'copyOut' || ofWorkTree.includes(kind))) await call(about, 'gc')
  const half = halfWritten(directory)
  if (half.length > 0) throw new Error(`${half.join()}: half written`)
  const tree = names.map((name) => readFileSync(join(directory, 'tree', name), 'utf8'))
  if (tree.some((text) => text !== tree[0]))
    throw new Error(`a part of a commit: ${tree.map((text) => text.slice(0, text.indexOf('\n'))).join()}`)
  if (kind !== 'commit' && tree[0] !== version(0)) throw new Error('the tree was changed')
  const found = readdirSync(directory, { recursive: true }).map(String)
  const known = [
    'tree',
    'out',
    'tree/c',
    ...names.map((name) => `tree/${name}`),
    'out/single',
    'out/out',
    'out/out/one',
    'out/out/below',
    'out/out/below/two',
  ]
  const others = found.filter((path) => !known.includes(path))
  const kept = ['layers', 'copies'].flatMap(
    (name) => attempt(() => readdirSync(join(process.env.VIAL_CACHE!, name))) ?? [],
  )
  if (others.length + kept.length > 0) throw new Error(`left: ${[...others, ...kept].join()}`)
}

async function main([count = '1', given = String(randomInt(2 ** 31)), only]: readonly string[]): Promise<void> {
  const [begun, seed] = [performance.now(), Number(given)]
  const next = random(seed)
  const killed: Partial<Record<Victim, number>> = {}
  const mounts = () => readFileSync('/proc/self/mountinfo', 'latin1')
  await inOwnHome(async (home) => {
    const directory = join(home, '../scene')
    process.env.VIAL_CACHE = join(home, '../cache')
    const before = mounts()
    for (let round = 0; round < Number(count); round++) {
      const kind = only ?? kinds[(round + seed) % kinds.length]!
      const all = victimsOf(kind)
      const victim = all[Math.floor(next() * all.length)]!
      const one = { kind, victim, moment: next(), which: next(), early: next() < 0.25 && victim === 'node' }
      const about = `seed ${seed}, round ${round}: ${victim} of ${kind}${one.early ? ', early' : ''}, at ${one.moment.toFixed(3)}`
      try {
        prepare(directory)
        if (kind === 'named') await call(about, 'start', '--name', 'box', '--tmpfs', '/tmp')
        if (await kill(one, directory)) killed[victim] = (killed[victim] ?? 0) + 1
        await after(one, directory, about)
        await nothingIsLeft(home, about)
        if (mounts() !== before) throw new Error('a mount is left')
      } catch (error) {
        throw new Error(about, { cause: error })
      }
    }
  })
  console.log(`${count} rounds, seed ${seed}: ${JSON.stringify(killed)}, ${Math.round(performance.now() - begun)} ms`)
}

await main(process.argv.slice(2))
