/** A pool's commands, each in a sandbox of its own that waited for it: against the same without a sandbox, and against bwrap. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type Policy, sandbox } from '../src/index.js'
import { runningProcesses } from '../src/live/members.js'
import {
  bwrap,
  bwrapWithExit,
  bwrapWithHostsNetwork,
  exitInside,
  policy,
  withExit,
  withHostsNetwork,
} from './policy.js'
import { alone, runs } from './support/directory.js'
import { type Command, exitProgram, installed, quantile, raceHere, type Times } from './support/race.js'
import { milliseconds, note, raceTable, table } from './support/table.js'

const hasBwrap = installed('bwrap') !== undefined

/** As child_process is used to collect the output of a command. */
const collected = ([command, ...args]: Command) =>
  new Promise<void>((resolve) => {
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.resume()
    child.stderr.resume()
    child.once('close', () => resolve())
  })
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function one(
  what: string,
  policy: Policy,
  plainly: string,
  inside: string,
  theirs: Command,
  target: number,
): Promise<void> {
  await using pool = await sandbox(policy).pool({ size: 4 })
  const ready = async (run: () => unknown) => {
    while (pool.metrics().warm < 4) await pause(1)
    await pause(2)
    const start = process.hrtime.bigint()
    await run()
    return Number(process.hrtime.bigint() - start)
  }
  const [plain, pooled, bwrapped]: number[][] = [[], [], []]
  for (let run = 0; run < runs; run++) {
    plain!.push(await ready(() => collected([plainly])))
    pooled!.push(await ready(() => pool.run(inside)))
    if (hasBwrap) bwrapped!.push(await ready(() => collected([...theirs, inside])))
  }
  const sorted = (times: number[]): Times => times.toSorted((a, b) => a - b)
  const [spawned, served, their] = [plain!, pooled!, bwrapped!].map(sorted) as [Times, Times, Times]
  raceTable(`${what}, the pool at rest before each, ${runs} in turn`, [
    { name: 'child_process.spawn, no sandbox', times: spawned },
    { name: 'pool.run', times: served, against: { name: 'spawn', times: spawned, target } },
    ...(hasBwrap
      ? [
          { name: "spawn('bwrap')", times: their, against: { name: 'spawn', times: spawned } },
          { name: 'pool.run', times: served, against: { name: 'bwrap', times: their, target: 0.15 } },
        ]
      : []),
  ])
  note(`pool.run: p50 ${milliseconds(quantile(served, 0.5))}, p99 ${milliseconds(quantile(served, 0.99))}`)
  const [back, again] = (await raceHere(runs, [() => collected([plainly]), () => pool.run(inside)])) as [Times, Times]
  raceTable(`${what}, one behind the other`, [
    { name: 'child_process.spawn, no sandbox', times: back },
    { name: 'pool.run', times: again, against: { name: 'spawn', times: back, target } },
  ])
}

/** How many a second, so many at a time. */
async function rate(all: number, run: () => unknown): Promise<number> {
  const start = process.hrtime.bigint()
  let left = all
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left-- > 0) await run()
    }),
  )
  return (all * 1e9) / Number(process.hrtime.bigint() - start)
}

async function sustained(): Promise<void> {
  const rows: string[][] = []
  const all = 5 * runs
  for (const [name, policy_, theirs, aim] of [
    ['with a network namespace', policy, bwrap, 2],
    ["with the host's network", withHostsNetwork, bwrapWithHostsNetwork, 3],
  ] as const)
    for (const [program, inside] of [
      ['exit', exitInside],
      ['true', 'true'],
    ] as const) {
      await using pool = await sandbox(withExit(policy_)).pool({ size: 4 })
      const ours = await rate(all, () => pool.run(inside))
      const other = hasBwrap ? await rate(all / 5, () => collected([...bwrapWithExit(theirs), inside])) : Number.NaN
      const ratio = ours / other
      rows.push([
        `${program}, ${name}`,
        ours.toFixed(0),
        other.toFixed(0),
        ratio.toFixed(1),
        `>= ${aim}${ratio >= aim ? '' : ' MISSED'}`,
      ])
    }
  table(`Sustained, 4 at a time, ${all} in all`, ['', 'pool.run, a second', "spawn('bwrap')", 'ratio', 'target'], rows)
}

const residentNow = () => Number(/VmRSS:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1])
const free = () => Number(/MemAvailable:\s*(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))![1])

/** Memory that a slot takes, of all kinds; and whether many commands leave any behind. */
async function memory(): Promise<void> {
  const slots = 96
  await using few = await sandbox(withExit(policy)).pool({ size: 1 })
  await pause(200)
  const before = free()
  await using many = await sandbox(withExit(policy)).pool({ size: slots, max: 4 })
  while (many.metrics().warm < slots) await pause(5)
  await pause(200)
  const each = (before - free()) / slots
  const limit = 300
  const kept: number[] = []
  const house = runningProcesses().filter(({ parent }) => parent === process.pid)
  const resident = () => house.map(({ pid }) => /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  const commands = 10_000
  for (let done = 0; done < commands; done += commands / 4) {
    await rate(commands / 4, () => few.run(exitInside))
    kept.push(residentNow())
  }
  table(
    'Memory',
    ['', ''],
    [
      [
        'for a slot that waits, of MemAvailable',
        `${each.toFixed(0)} KB, <= ${limit} KB${each <= limit ? '' : ' MISSED'}`,
      ],
      [`Node.js, behind each quarter of ${commands} commands`, kept.map((size) => `${size} KB`).join(', ')],
      ['the houses at the end', `${resident().join(' KB, ')} KB`],
    ],
  )
}

export async function bench(): Promise<void> {
  await one('A static program that exits', withExit(policy), exitProgram(), exitInside, bwrapWithExit(bwrap), 0.4)
  await one('/bin/true', policy, '/bin/true', 'true', bwrap, 0.6)
  await sustained()
  await memory()
}

await alone(import.meta.url, bench)
