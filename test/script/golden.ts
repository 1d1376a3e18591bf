/**
 * What the plans of cases.ts are, and what each system call of some of them is, as text. `node dist/test/script/golden.js` writes
 * it to golden/, to be read as a diff before it is committed.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from '../../src/bwrap/parseRequest.js'
import { bwrapPlan } from '../../src/bwrap/planRequest.js'
import { type Launch, launch } from '../../src/launcher/launch.js'
import { runFrame } from '../../src/live/frames.js'
import { connecting, type Plan } from '../../src/plan/plan.js'
import { makeEntrantPlan, makePlan } from '../../src/plan/planPolicy.js'
import { parsePolicy } from '../../src/policy/check.js'
import { lines, policies } from './cases.js'
import { type Call, monitor, type Run, run, type Script } from './kernel.js'
import { callText, planText } from './text.js'

export interface Case {
  readonly name: string
  readonly plan: Plan
  readonly launch: Launch
  readonly calls: boolean
}

const nothing = new Uint8Array()
export const entrants = { alone: nothing, reporting: nothing }
const caseOf = (name: string, plan: Plan, calls = false): Case => ({
  name,
  plan,
  launch: launch(plan, 'x64', { entrants }),
  calls,
})

export const cases: readonly Case[] = [
  ...Object.entries(policies).map(([name, { policy, options, calls, enters }]) =>
    caseOf(
      `policy: ${name}`,
      (enters ? makeEntrantPlan : makePlan)(
        parsePolicy(policy),
        { architecture: 'x64', base: '/here', kernel: '6.12' },
        options,
      ),
      calls,
    ),
  ),
  ...Object.entries(lines).map(([name, { line, uid = 1000, calls }]) => {
    const parsed = parse([...line.split(' '), 'true'])
    if (parsed.kind !== 'run') throw new Error(`${line}: runs nothing`)
    return caseOf(`bwrap: ${name}`, bwrapPlan(parsed.request, { uid, gid: uid }), calls)
  }),
]

/** Those that a scripted kernel can run to their end: it has no program but the vial's and the command, and waits for no pasta(1). */
export const runnable = cases.filter(({ plan }) => connecting(plan) === undefined)

const script: Script = {
  argv: ['vial', '/usr/bin/tool.x', 'argument'],
  env: ['PATH=/usr/bin', 'TERM=dumb', 'SECRET=1'],
}

/** Runs a case; `fail`: what one of its calls answers instead. */
export function runCase({ plan, launch: { program } }: Case, fail?: Script['fail']): Run {
  const [name, ...command] = script.argv
  const { enters, serves } = plan.start
  const entering = [name!, monitor.place, monitor.start]
  const argv = enters === undefined ? script.argv : serves !== undefined ? entering : [...entering, '/tmp', ...command]
  const given =
    serves === undefined
      ? {}
      : {
          [serves.control]: runFrame(1, {
            cwd: '/tmp',
            args: command,
            variables: script.env!,
            stdin: 'whole',
            input: 'input',
          })!,
        }
  return run(program, { ...script, argv, given, ...(fail === undefined ? {} : { fail }) })
}

/** What comes of it when one call fails in a way that no code expects. */
export interface Failure {
  readonly call: Call
  /** Whether the command was executed before. */
  readonly late: boolean
  readonly run: Run
}

export function failures(one: Case, { calls }: Run): Failure[] {
  const executing = calls.findLastIndex(({ name }) => name === 'execve')
  return calls.flatMap((call, at) =>
    unfailing.has(call.name) ? [] : [{ call, late: at > executing, run: runCase(one, { at, with: 'EIO' }) }],
  )
}
/** These do not come back, or cannot fail. */
const unfailing = new Set(['exit_group', 'execve', 'execveat', 'getpid', 'getppid', 'geteuid', 'getegid', 'umask'])

export const directory = fileURLToPath(new URL('../../../test/script/golden/', import.meta.url))
export const fileOf = (name: string) => join(directory, `${name.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}.txt`)

export function textOf(one: Case): string {
  const made = one.calls ? ['', 'calls', ...runCase(one).calls.map((call) => `  ${callText(call)}`)] : []
  return `${[...planText(one.plan), ...made].join('\n')}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory)
  for (const one of cases) writeFileSync(fileOf(one.name), textOf(one))
}

export const kept = (name: string): string => readFileSync(fileOf(name), 'utf8')
