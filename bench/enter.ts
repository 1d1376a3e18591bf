/** Commands that enter a sandbox that runs: against the same without a sandbox, and against a run of their own. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Policy, sandbox } from '../src/index.js'
import { runningProcesses } from '../src/live/members.js'
import { bwrap, exitInside, policy, vial, withExit } from './policy.js'
import { alone, dist, runs, work } from './support/directory.js'
import { enterCommand } from './support/enterCommand.js'
import { type Command, exitProgram, installed, median, race, raceHere, type Times } from './support/race.js'
import { milliseconds, note, raceTable, table } from './support/table.js'

type Box = Awaited<ReturnType<ReturnType<typeof sandbox>['open']>>

/** As child_process is used to collect the output of a command. */
const collected = (command: string, args: readonly string[] = []) =>
  new Promise<void>((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.resume()
    child.stderr.resume()
    child.once('close', () => resolve())
  })

function fromC(box: Box): void {
  const enter = enterCommand(box.pid, exitInside)
  const own: Command = [vial(withExit(policy), 'own'), exitInside]
  const [plain, entered, one] = race(runs, [[exitProgram()], enter, own]) as [Times, Times, Times]
  const more = median(entered) - median(plain)
  const allowed = 0.6e6
  table(
    `A static program that exits, started from C, ${runs} in turn`,
    ['', 'median', 'least'],
    [
      ['by itself', milliseconds(median(plain)), milliseconds(plain[0]!)],
      ['enters a sandbox', milliseconds(median(entered)), milliseconds(entered[0]!)],
      ['in a sandbox of its own', milliseconds(median(one)), milliseconds(one[0]!)],
      ['entering beyond itself', milliseconds(more), `<= ${milliseconds(allowed)}${more <= allowed ? '' : ' MISSED'}`],
    ],
  )
}

async function fromNode(
  what: string,
  plainly: string,
  inside: string,
  policy: Policy,
  target: readonly [number, number],
) {
  await using box = await sandbox(policy).open()
  const own = sandbox(policy)
  const streamed = async () => {
    const child = box.spawn(inside)
    child.stdout!.resume()
    child.stderr!.resume()
    await child.result
  }
  const [plain, ran, spawned, alone] = (await raceHere(runs, [
    () => collected(plainly),
    () => box.run(inside),
    streamed,
    () => own.run(inside),
  ])) as [Times, Times, Times, Times]
  const against = (aim: number) => ({ name: 'spawn', times: plain, target: aim })
  raceTable(`From Node: ${what}, ${runs} in turn`, [
    { name: 'child_process.spawn, no sandbox', times: plain },
    { name: 'box.run', times: ran, against: against(target[0]) },
    { name: 'box.spawn', times: spawned, against: against(target[1]) },
    { name: 'sandbox.run', times: alone },
  ])
}

/** How many a second, so many at a time. */
async function sustained(): Promise<void> {
  await using box = await sandbox(withExit(policy)).open()
  const [atOnce, all] = [4, 5 * runs]
  const rate = async (one: () => unknown) => {
    const start = process.hrtime.bigint()
    let left = all
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (left-- > 0) await one()
      }),
    )
    return (all * 1e9) / Number(process.hrtime.bigint() - start)
  }
  const plain = await rate(() => collected(exitProgram()))
  const rows = [['child_process.spawn, no sandbox', plain.toFixed(0), '', '']]
  const add = (name: string, found: number, aim: number) =>
    rows.push([name, found.toFixed(0), (found / plain).toFixed(2), `>= ${aim}${found / plain >= aim ? '' : ' MISSED'}`])
  add('box.run', await rate(() => box.run(exitInside)), 5)
  if (installed('bwrap') === undefined) note('not installed: bwrap')
  else {
    const [program, ...args] = bwrap
    const theirs = await rate(() => collected(program!, [...args, 'true']))
    rows.push(["spawn('bwrap'), true", theirs.toFixed(0), (theirs / plain).toFixed(2), ''])
  }
  table(`A static program that exits, ${atOnce} at a time, ${all} in all`, ['', 'a second', 'ratio to spawn', ''], rows)
}

/** The command: it starts Node each time. */
function fromShell(): void {
  const main = join(dist, 'src/cli/main.cjs')
  const command = (...words: string[]): Command => [process.execPath, main, ...words]
  const runtime = join(work, 'runtime')
  mkdirSync(runtime, { mode: 0o700 })
  process.env.XDG_RUNTIME_DIR = runtime
  const starts = Math.ceil(runs / 5)
  const start = command('start', '--name', 'bench')
  const { status, stderr } = spawnSync(start[0]!, start.slice(1), { encoding: 'utf8' })
  if (status !== 0) throw new Error(`vial start: ${stderr}`)
  try {
    const [ran, entered] = race(starts, [command('run', '--', 'true'), command('exec', 'bench', 'true')]) as [
      Times,
      Times,
    ]
    raceTable(`The command line, ${starts} in turn`, [
      { name: 'vial run -- true', times: ran },
      { name: 'vial exec bench true', times: entered, against: { name: 'vial run', times: ran, target: 1.1 } },
    ])
  } finally {
    const rm = command('rm', '-f', 'bench')
    spawnSync(rm[0]!, rm.slice(1))
  }
}

/** Bytes that no other process shares, and a part of those that others do: proc_pid_smaps(5), Pss. */
function memory(box: Box): void {
  const init = runningProcesses().find(({ parent }) => parent === box.pid)!
  const limit = 200
  const sizes = [box.pid, init.pid].map((pid) => {
    const path = `/proc/${pid}/smaps_rollup`
    try {
      return existsSync(path) ? Number(/^Pss:\s*(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1]) : Number.NaN
    } catch {
      // Pid 1 is not dumpable.
      return Number.NaN
    }
  })
  const all = sizes.filter((size) => !Number.isNaN(size)).reduce((sum, size) => sum + size, 0)
  table(
    'Memory of an open sandbox that is idle, Pss',
    ['', ''],
    [
      ['monitor', `${sizes[0]} KB`],
      ['init', Number.isNaN(sizes[1]) ? 'closed to its user: see --root' : `${sizes[1]} KB`],
      ['together', `${all} KB, <= ${limit} KB${all <= limit ? '' : ' MISSED'}`],
    ],
  )
}

export async function bench(): Promise<void> {
  {
    await using box = await sandbox(withExit(policy)).open()
    memory(box)
    fromC(box)
  }
  await fromNode('a static program that exits', exitProgram(), exitInside, withExit(policy), [0.35, 0.7])
  await fromNode('/bin/true', '/bin/true', 'true', policy, [0.55, 0.7])
  await sustained()
  fromShell()
}

await alone(import.meta.url, bench)
