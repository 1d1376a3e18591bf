/** Times of commands that run in turn, taken by a C program (race.c): Node's own cost of a spawn is not in them. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { hostArchitecture } from '../../src/host/thisHost.js'
import { assemble } from '../../src/machine/assemble.js'
import { sources, work } from './directory.js'

/** Nanoseconds of each run, sorted. */
export type Times = readonly number[]
export type Command = readonly string[]

/** `undefined`: not installed. */
export function installed(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(':')
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path))
}

/** The executable that a C file of this directory makes, compiled once for each run of the benches. */
export function compiledC(name: string): string {
  const output = join(work, basename(name))
  if (existsSync(output)) return output
  if (installed('gcc') === undefined) throw new Error('gcc is not installed')
  execFileSync('gcc', ['-O2', '-Wall', '-static', '-o', output, join(sources, `${name}.c`)])
  return output
}

/** A static executable that only exits. */
export function exitProgram(): string {
  const path = join(work, 'exit')
  const to = { kind: 'slot', index: 0 } as const
  const bytes = assemble(
    {
      instructions: [
        { op: 'entry', to },
        { op: 'syscall', name: 'exit_group', args: [0], to },
      ],
      constants: new Uint8Array(),
      slots: 1,
      memory: 0,
    },
    hostArchitecture(),
  )
  if (!existsSync(path)) writeFileSync(path, bytes, { mode: 0o755 })
  return path
}

/**
 * Runs the commands in turn, `runs` times.
 * @throws {Error} when one of them fails.
 */
export function race(runs: number, commands: readonly Command[]): Times[] {
  const args = commands.flatMap((command, index) => (index === 0 ? command : ['//', ...command]))
  const { status, stdout, stderr, error } = spawnSync(compiledC('support/race'), [String(runs), ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    cwd: work,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(stderr)
  return stdout
    .trim()
    .split('\n')
    .map((line) => sorted(line.split(' ').map(Number)))
}

/** The same for functions of this process, in nanoseconds. Each time another one begins: what one leaves behind, the next pays for. */
export async function raceHere(runs: number, functions: readonly (() => unknown)[]): Promise<Times[]> {
  const times = functions.map(() => [] as number[])
  for (let run = -Math.ceil(runs / 10); run < runs; run++) {
    for (const turn of functions.keys()) {
      const index = (turn + run + functions.length * runs) % functions.length
      const start = process.hrtime.bigint()
      await functions[index]!()
      const took = Number(process.hrtime.bigint() - start)
      if (run >= 0) times[index]!.push(took)
    }
  }
  return times.map(sorted)
}

/** The time that `part` of the runs stay below: 0.5 is the median. */
export const quantile = (times: Times, part: number): number => times[Math.floor((times.length - 1) * part)]!
export const median = (times: Times): number => quantile(times, 0.5)

const sorted = (times: readonly number[]): Times => times.toSorted((a, b) => a - b)
