/**
 * What the plans of cases.ts are, and what each system call of some of them is, as text. `node dist/test/script/golden.js` writes
 * it to golden/, to be read as a diff before it is committed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from '../../src/cli/bwrap/parse.js'
import { launch } from '../../src/launcher/program.js'
import { bwrapPlan } from '../../src/plan/bwrap.js'
import { makePlan } from '../../src/plan/plan.js'
import type { Plan } from '../../src/plan/step.js'
import { checkPolicy } from '../../src/policy/check.js'
import { lines, policies } from './cases.js'
import { type Call, type Run, run, type Script } from './kernel.js'
import { callText, planText } from './text.js'

export interface Case {
  readonly name: string
  readonly plan: Plan
  readonly calls: boolean
}

export const cases: readonly Case[] = [
  ...Object.entries(policies).map(([name, { policy, options, calls = false }]) => ({
    name: `policy: ${name}`,
    plan: makePlan(checkPolicy(policy), 'x64', { base: '/here', ...options }),
    calls,
  })),
  ...Object.entries(lines).map(([name, { line, uid = 1000, calls = false }]) => {
    const parsed = parse([...line.split(' '), 'true'])
    if (parsed.kind !== 'run') throw new Error(`${line}: runs nothing`)
    return { name: `bwrap: ${name}`, plan: bwrapPlan(parsed.request, { uid, gid: uid }), calls }
  }),
]

const script: Script = {
  argv: ['vial', '/usr/bin/tool.x', 'argument'],
  env: ['PATH=/usr/bin', 'TERM=dumb', 'SECRET=1'],
}

/** Runs a plan; `fail`: what one of its calls answers instead. */
export const runPlan = (plan: Plan, fail?: Script['fail']): Run =>
  run(launch(plan, 'x64').program, fail === undefined ? script : { ...script, fail })

/** What comes of it when one call fails in a way that no code expects. */
export interface Failure {
  readonly call: Call
  /** Whether the command was executed before. */
  readonly late: boolean
  readonly run: Run
}

export function failures(plan: Plan): Failure[] {
  const program = launch(plan, 'x64').program
  const { calls } = runPlan(plan)
  const executing = calls.findLastIndex(({ name }) => name === 'execve')
  return calls.flatMap((call, at) =>
    unfailing.has(call.name)
      ? []
      : [{ call, late: at > executing, run: run(program, { ...script, fail: { at, with: 'EIO' } }) }],
  )
}
/** These do not come back, or cannot fail. */
const unfailing = new Set(['exit_group', 'execve', 'execveat', 'getpid', 'getppid', 'geteuid', 'getegid', 'umask'])

export const folder = fileURLToPath(new URL('../../../test/script/golden/', import.meta.url))
export const fileOf = (name: string) => join(folder, `${name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}.txt`)

export function textOf({ plan, calls }: Case): string {
  const made = calls ? ['', 'calls', ...runPlan(plan).calls.map((call) => `  ${callText(call)}`)] : []
  return `${[...planText(plan), ...made].join('\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const one of cases) writeFileSync(fileOf(one.name), textOf(one))
}

export const kept = (name: string): string => readFileSync(fileOf(name), 'utf8')
