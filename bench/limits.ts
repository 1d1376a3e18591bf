/**
 * What limits add to a run: `node dist/bench/limits.js [RUNS]`. Each row is a sandbox that runs /bin/true, one after
 * another, in turns with all others; then where the time of the cgroup goes, without any process.
 */
import { spawnSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { findWay } from '../src/cgroup/find.js'
import { newGroupName } from '../src/cgroup/owner.js'
import { type LimitsPolicy, sandbox } from '../src/index.js'

const runs = Number(process.argv[2] ?? 200)

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

const quantile = (values: readonly number[], q: number) =>
  [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))]!
const row = (name: string, values: readonly number[], base = 0) =>
  process.stdout.write(
    `${name.padEnd(34)} ${quantile(values, 0.5).toFixed(3)} ms  (p10 ${quantile(values, 0.1).toFixed(3)}, p90 ${quantile(values, 0.9).toFixed(3)})${base === 0 ? '' : `  +${(quantile(values, 0.5) - base).toFixed(3)}`}\n`,
  )

const sandboxes = Object.entries(cases).map(([name, limits]) => ({
  name,
  one: sandbox({ preset: 'system', ...(limits === undefined ? {} : { limits }) }),
  times: [] as number[],
}))
for (let round = -5; round < runs; round++)
  for (const { one, times } of sandboxes) {
    const start = performance.now()
    await one.run('/bin/true')
    if (round >= 0) times.push(performance.now() - start)
  }
process.stdout.write(`a run of /bin/true, from run() to its result; ${runs} runs, in turns\n`)
const base = quantile(sandboxes[0]!.times, 0.5)
for (const { name, times } of sandboxes) row(name, times, times === sandboxes[0]!.times ? 0 : base)

const scope = spawnSync('systemd-run', ['--user', '--scope', '-q', 'true'], { stdio: 'ignore' })
if (scope.status === 0) {
  const times = Array.from({ length: Math.min(runs, 50) }, () => {
    const start = performance.now()
    spawnSync('systemd-run', ['--user', '--scope', '-q', '/bin/true'], { stdio: 'ignore' })
    return performance.now() - start
  })
  row('systemd-run --scope /bin/true', times)
} else process.stdout.write('systemd-run: not here\n')

const parts = [['pids'], ['cpuTime'], ['cpu'], ['memory'], ['memory', 'pids', 'cpu', 'cpuTime']] as const
const limits = { memory: 2 ** 28, pids: 64, cpu: 1 } as const
for (const resources of parts) {
  const way = findWay(resources)
  if ('missing' in way) {
    process.stdout.write(`${resources.join()}: ${way.missing}\n`)
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
    Object.entries(limits).filter(([name]) => resources.some((resource) => resource === name)),
  )
  for (let round = 0; round < runs; round++) {
    const group = time('create', () => way.create(newGroupName(), wanted))
    const watch = { cpuTime: resources.some((one) => one === 'cpuTime'), memory: 'memory' in wanted }
    const opened = time('open', () => group.open(watch))
    for (const fd of [...opened.enter, opened.cpuTime, opened.memory]) if (fd !== undefined) closeSync(fd)
    time('measure', () => group.measure())
    time('remove', () => group.tryRemove())
  }
  process.stdout.write(`\nthe group alone: ${resources.join(', ')}, by ${way.name}\n`)
  for (const [name, values] of Object.entries(steps)) row(`  ${name}`, values)
}
