/** From Node: `sandbox.run()` against `execFile('bwrap', …)`, and the command line against node itself. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Policy, sandbox } from '../src/index.js'
import { bwrap, bwrapWithExit, exitInside, policy, withExit } from './policy.js'
import { alone, dist, runs } from './support/directory.js'
import { type Command, exitProgram, installed, median, race, raceHere, type Times } from './support/race.js'
import { milliseconds, note, raceTable, table } from './support/table.js'

const execute = promisify(execFile)

async function fromNode(
  what: string,
  plainly: string,
  policy: Policy,
  inside: string,
  [program = '', ...args]: Command,
  inBwrap: boolean,
): Promise<void> {
  const ours = sandbox(policy)
  const [plain, run, theirs] = (await raceHere(runs, [
    () => execute(plainly),
    () => ours.run(inside),
    ...(inBwrap ? [() => execute(program, [...args, inside])] : []),
  ])) as [Times, Times, Times?]
  raceTable(`One run from Node: ${what}, ${runs} in turn`, [
    { name: 'execFile(…)', times: plain },
    {
      name: 'sandbox.run(…)',
      times: run,
      ...(theirs === undefined ? {} : { against: { name: 'bwrap', times: theirs, target: 0.6 } }),
    },
    ...(theirs === undefined ? [] : [{ name: "execFile('bwrap', …)", times: theirs }]),
  ])
}

export async function bench(): Promise<void> {
  const inBwrap = installed('bwrap') !== undefined
  const small = exitProgram()
  await fromNode('a static program that exits', small, withExit(policy), exitInside, bwrapWithExit(bwrap), inBwrap)
  await fromNode('/bin/true', '/bin/true', policy, 'true', bwrap, inBwrap)
  if (!inBwrap) note('bwrap is not installed: apt-get install bubblewrap')

  const starts = Math.ceil(runs / 5)
  const main = join(dist, 'src/cli/main.cjs')
  const [empty, command] = race(starts, [
    [process.execPath, '-e', '0'],
    [process.execPath, main, 'run', '--', 'true'],
  ]) as [Times, Times]
  const more = median(command) - median(empty)
  const allowed = 25e6
  table(
    `The command line, ${starts} in turn`,
    ['', 'median', 'least'],
    [
      ['node -e 0', milliseconds(median(empty)), milliseconds(empty[0]!)],
      ['vial run -- true', milliseconds(median(command)), milliseconds(command[0]!)],
      ['more than node alone', milliseconds(more), `<= ${milliseconds(allowed)}${more <= allowed ? '' : ' MISSED'}`],
    ],
  )
  const flags = [
    [],
    ['--wall-time', '60s'],
    ['--limits-optional', '--memory', '256M', '--pids', '50', '--cpu-time', '60s'],
    ['--output', '1M'],
    ['--fill', 'true'],
  ]
  const times = race(
    starts,
    flags.map((words) => [process.execPath, main, 'run', ...words, '--', 'true']),
  )
  const plain = { name: 'without', times: times[0]!, target: 1.15 }
  raceTable(
    `Flags of the command line, of the vial of the last time, ${starts} in turn`,
    flags.map((words, index) => {
      const name = `vial run ${[...words, '--', 'true'].join(' ')}`
      return { name, times: times[index]!, ...(index === 0 ? {} : { against: plain }) }
    }),
  )
}

await alone(import.meta.url, bench)
