/** A plan in words, with the system calls that each step really makes: read back from the program, not written by hand. */
import { hostArchitecture } from '../host/thisHost.js'
import type { SyscallName } from '../kernel/syscalls.js'
import { launch } from '../launcher/launch.js'
import type { Instruction } from '../machine/instruction.js'
import type { Environment } from '../plan/manner.js'
import { sharedWithHost } from '../policy/shared.js'
import { type Visible, visiblePlaces } from '../policy/visible.js'
import type { Compiled } from './compile.js'

/** One step of the plan, in words. */
export interface ExplainedStep {
  /** Which process does it. */
  readonly process: 'monitor' | 'init' | 'payload'
  /** What it does, completing "will …". */
  readonly what: string
  /** Why. */
  readonly why: string
  /** The system calls that its code makes. */
  readonly syscalls: readonly SyscallName[]
}
/** What a sandbox does, in order. */
export interface Explanation {
  /** The steps of monitor, init and payload. */
  readonly steps: readonly ExplainedStep[]
  /** Variables that are set, and patterns of those that the caller hands on; `true`: all. */
  readonly environment: Pick<Environment, 'set' | 'inherit'>
  /** What the payload sees, by place; undefined where the policy makes no mount namespace. */
  readonly view: readonly Visible[] | undefined
  /** What it has in common with the host, a line for each. */
  readonly shared: readonly string[]
  /** Why a run would fail here: its limits need a cgroup, and there is none. The steps are those of a run in one. */
  readonly limits?: string
}

export function explainPlan({ plan, policy }: Compiled, base: string): Explanation {
  const { program, steps, processes } = launch(plan, hostArchitecture())
  const calls = syscallsByStep(program.instructions)
  const { set, inherit } = plan.start.environment
  return {
    environment: { set, inherit },
    steps: steps.map((step, index) => ({
      process: processes[index]!,
      what: step.what,
      why: step.why,
      syscalls: [...new Set(calls.get(index) ?? [])],
    })),
    view: visiblePlaces(policy, base),
    shared: sharedWithHost(policy),
  }
}

/** System calls between the mark of a step and the next, routines that it calls included. */
function syscallsByStep(instructions: readonly Instruction[]): Map<number, SyscallName[]> {
  const places = new Map<number, number>()
  instructions.forEach((one, index) => {
    if (one.op === 'label') places.set(one.label.id, index)
  })
  const routine = (start: number): SyscallName[] => {
    const found: SyscallName[] = []
    for (let at = start; at < instructions.length; at++) {
      const one = instructions[at]!
      if (one.op === 'return') break
      if (one.op === 'syscall') found.push(one.name)
      if (one.op === 'call') found.push(...routine(places.get(one.target.id)!))
    }
    return found
  }
  const found = new Map<number, SyscallName[]>()
  let current: SyscallName[] = []
  for (const one of instructions) {
    if (one.op === 'mark') {
      // A step may be several rows.
      const all = found.get(one.step) ?? []
      found.set(one.step, all)
      if (one.routine !== undefined) all.push(...routine(places.get(one.routine.id)!))
      current = one.routine === undefined ? all : []
    }
    if (one.op === 'return') break
    if (one.op === 'syscall') current.push(one.name)
    if (one.op === 'call') current.push(...routine(places.get(one.target.id)!))
  }
  return found
}
