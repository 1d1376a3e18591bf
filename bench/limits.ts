/**
 * What limits add to a run. Each row is a sandbox that runs /bin/true, one after another, in turns with all others; then
 * where the time of the group goes, without any process, which is what it costs to do it by hand; then other tools.
 */
import { spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { join } from 'node:path'
import { findWay } from '../src/cgroup/findWay.js'
import { newGroupName } from '../src/cgroup/owner.js'
import { type LimitsPolicy, sandbox } from '../src/index.js'
import { layOut } from '../src/plan/namedDescriptors.js'
import type { GroupLimitName } from '../src/policy/limits.js'
import { makeBundle } from './runtimes.js'
import { alone, runs, work } from './support/directory.js'
import { installed } from './support/race.js'
import { note, table } from './support/table.js'

const cases: Readonly<Record<string, LimitsPolicy | undefined>> = {
  'no limits': undefined,
  'wallTime (a timer)': { wallTime: 60 },
  'openFiles (an rlimit)': { openFiles: 100 },
  'output (counted)': { output: '1M' },
  pids: { pids: 64 },
  cpuTime: { cpuTime: 60 },
  memory: { memory: '256M' },
  'all of them': { memory: '256M', pids: 64, cpu: 1, cpuTime: 60, wallTime: 60, output: '1M', openFiles: 100 },
}

export async function bench(): Promise<void> {
  await benchRuns()
  benchGroups()
  benchOthers()
}

async function benchRuns(): Promise<void> {
  const sandboxes = Object.entries(cases).map(([name, limits]) => ({
    name,
    one: sandbox({ preset: 'system', ...(limits === undefined ? {} : { limits }) }),
    times: [] as number[],
    /** CPU time of this process and of the sandbox, which a busy machine does not change much. */
    works: [] as number[],
    failure: '',
  }))
  for (const each of sandboxes)
    await each.one.run('/bin/true').catch((error) => {
      each.failure = (error as Error).message.split('\n')[0]!
    })
  const able = sandboxes.filter(({ failure }) => failure === '')
  for (let round = -5; round < runs; round++)
    for (const { one, times, works } of able) {
      const start = performance.now()
      const cpu = process.cpuUsage()
      const { usage } = await one.run('/bin/true')
      if (round < 0) continue
      times.push(performance.now() - start)
      const { user, system } = process.cpuUsage(cpu)
      works.push((user + system) / 1000 + usage.userMs + usage.systemMs)
    }
  const show = (title: string, of: 'times' | 'works') =>
    table(
      title,
      [...head, 'more than the first'],
      able.map((each) => row(each.name, each[of], able[0]![of])),
    )
  show(`run('/bin/true') with limits, ${runs} runs in turn`, 'times')
  show('the same, CPU time of Node and of the sandbox', 'works')
  for (const { name, failure } of sandboxes) if (failure !== '') note(`${name}: ${failure}`)
}

function benchGroups(): void {
  const limits = { memory: 2 ** 28, pids: 64, cpu: 1 } as const
  const parts: readonly GroupLimitName[][] = [
    ['pids'],
    ['cpuTime'],
    ['cpu'],
    ['memory'],
    ['memory', 'pids', 'cpu', 'cpuTime'],
  ]
  for (const resources of parts) {
    const way = findWay(resources)
    if ('missing' in way) {
      note(`a group for ${resources.join(', ')}: ${way.missing}`)
      continue
    }
    const steps: Record<string, number[]> = { create: [], open: [], measure: [], remove: [] }
    const time = <Value>(name: string, action: () => Value): Value => {
      const start = performance.now()
      const value = action()
      steps[name]!.push(performance.now() - start)
      return value
    }
    const wanted = Object.fromEntries(
      Object.entries(limits).filter(([name]) => resources.includes(name as GroupLimitName)),
    )
    for (let round = 0; round < runs; round++) {
      const group = time('create', () => way.create(newGroupName(), wanted))
      const opened = time('open', () =>
        group.open({ cpuTime: resources.includes('cpuTime'), memory: 'memory' in wanted }),
      )
      for (const fd of layOut(opened)) closeSync(fd)
      time('measure', () => group.measure())
      time('remove', () => group.tryRemove())
    }
    const rows = Object.entries(steps).map(([name, values]) => row(name, values))
    table(`the group alone: ${resources.join(', ')}, by ${way.name}`, head, rows)
  }
}

/** By their whole processes: compare a tool with itself, with limits and without. */
function benchOthers(): void {
  const rounds = Math.max(10, Math.ceil(runs / 10))
  const name = `vial-bench-${process.pid}`
  const runtime = (program: string, ...flags: string[]) => {
    const start = (bundle: string) => [
      program,
      '--root',
      join(work, 'state'),
      ...flags,
      'run',
      '--bundle',
      bundle,
      name,
    ]
    return [
      [`${program}, a group without limits`, start(makeBundle('bundle', { cgroupsPath: `/${name}` }))],
      [`${program}, memory, pids and cpu`, start(makeBundle('limited', { cgroupsPath: `/${name}`, resources }))],
    ] as const
  }
  const resources = { memory: { limit: 2 ** 28 }, pids: { limit: 64 }, cpu: { quota: 100_000, period: 100_000 } }
  const manager = process.getuid!() === 0 ? [] : ['--user']
  const tools: readonly (readonly [name: string, command: readonly string[]])[] = [
    ...runtime('crun', '--cgroup-manager=cgroupfs'),
    ...runtime('runc'),
    ['systemd-run --scope', ['systemd-run', ...manager, '--scope', '-q', '/bin/true']],
  ]
  const rows: string[][] = []
  for (const [name, [program = '', ...args]] of tools) {
    const once = () => spawnSync(program, args, { encoding: 'utf8', cwd: work })
    if (installed(program) === undefined) {
      note(`${name}: not installed`)
      continue
    }
    const { status, stderr } = once()
    if (status !== 0) {
      note(`${name} does not run here: ${stderr.trim().split('\n').at(-1)}`)
      continue
    }
    const times = Array.from({ length: rounds }, () => {
      const start = performance.now()
      once()
      return performance.now() - start
    })
    rows.push(row(name, times))
  }
  if (rows.length > 0) table(`other tools, ${rounds} runs`, head, rows)
}

const head = ['', 'median', 'p10', 'p90', 'least']
const quantile = (values: readonly number[], q: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))]!

function row(name: string, values: readonly number[], base?: readonly number[]): string[] {
  const numbers = [0.5, 0.1, 0.9, 0].map((q) => `${quantile(values, q).toFixed(3)} ms`)
  if (base === undefined || base === values) return [name, ...numbers]
  return [name, ...numbers, `${(quantile(values, 0.5) - quantile(base, 0.5)).toFixed(3)} ms`]
}

await alone(import.meta.url, bench)
