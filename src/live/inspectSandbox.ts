/**
 * Looks at a running sandbox from outside. What was asked for is what its policy comes to when it is compiled now, on this host: presets
 * and `fill` stand for what the host has. All that is read, is read of processes that are the same before and after.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { statOf } from '../cgroup/processStat.js'
import { type NamespaceName, namespaceNames, namespaces as kinds } from '../kernel/namespaces.js'
import type { Plan } from '../plan/plan.js'
import type { StepKind } from '../plan/step.js'
import { parseLimits } from '../policy/limits.js'
import { HostError } from '../text/error.js'
import { compareMounts } from './compareMounts.js'
import { isEntrant } from './enterSandbox.js'
import { type ExpectedMount, expectedMounts } from './expectedMounts.js'
import { idFacts, idsOutside, ownsHost } from './inspectedIds.js'
import { inspectLimits } from './inspectedLimits.js'
import { type Expectation, inspectProcess } from './inspectedProcess.js'
import { fact, factsOf, type InspectedFact, type InspectedProcess, type Inspection } from './inspection.js'
import type { RecordedMount } from './mountRecords.js'
import { pidsOf, runningProcesses } from './members.js'
import { ofKind } from './planSteps.js'
import { namespaceAt, namespacesAt, namespacesHeldBy, type ProcessFacts, readProcess } from './readProcess.js'
import type { SandboxRecord } from './recordFile.js'
import { groupOf } from './recordedGroup.js'
import { compiledAgain } from './sandboxPlan.js'

/** What is known of a sandbox that runs; its maker wrote it down. */
export interface Inspected extends Pick<SandboxRecord, 'monitor' | 'policy' | 'base' | 'group' | 'command'> {
  readonly name?: string
  /** Default: it is looked for. */
  readonly init?: number
}
/** The same, with what was found of it. */
interface Found {
  readonly sandbox: Inspected
  readonly added: readonly RecordedMount[]
  readonly plan: Plan
  readonly monitor: ProcessFacts
  readonly init: ProcessFacts
  /** Inodes of the namespaces that are its own, by the descriptors of its monitor. */
  readonly own: Inodes
  /** Those of the monitor. */
  readonly monitors: Inodes
}
type Inodes = Readonly<Partial<Record<NamespaceName, number>>>

/** Milliseconds between two looks at what is just entering, and for how long: it takes a few, unless the machine is busy. */
const [pause, patience] = [10, 2000]

/**
 * @param added what was mounted into it while it runs
 * @throws {HostError} when it has ended meanwhile
 */
export async function inspectSandbox(sandbox: Inspected, added: readonly RecordedMount[] = []): Promise<Inspection> {
  const { plan } = compiledAgain(sandbox)
  const monitor = readProcess(sandbox.monitor.pid)
  const init = initOf(sandbox)
  if (monitor?.start !== sandbox.monitor.start || init === undefined) throw endedOf(sandbox)
  const own = namespacesHeldBy(monitor.pid)
  const monitors = namespacesAt((kind) => `/proc/${monitor.pid}/ns/${kinds[kind].file}`)
  const found: Found = { sandbox, added, plan, monitor, init, own, monitors }
  const isThere = () => [monitor, init].every((one) => isAlive(one))
  try {
    let inspection = inspect(found)
    const until = performance.now() + patience
    while (isThere() && isEntering(inspection, monitor) && performance.now() < until) {
      await sleep(pause)
      inspection = inspect(found)
    }
    // What was read is only true of a sandbox that is still there.
    if (isThere()) return inspection
  } catch (error) {
    if (isThere()) throw error
  }
  throw endedOf(sandbox)
}

function isAlive({ pid, start }: ProcessFacts): boolean {
  const stat = statOf(pid)
  return stat?.start === start && !stat.ended
}

/**
 * Whether a process is on its way in, and so not yet hardened: it executes what the monitor holds, with such arguments. These are its own
 * to change: what stays so is told as it is.
 */
const isEntering = ({ processes }: Inspection, { pid, start }: ProcessFacts) =>
  processes.some(
    ({ command, facts }) =>
      isEntrant(command, { pid, start }) && facts.some(({ agreement }) => agreement === 'differs'),
  )

export const endedOf = ({ name }: Inspected) =>
  name === undefined
    ? new HostError('the sandbox has ended')
    : new HostError(`the sandbox "${name}" has ended while it was looked at`, {
        hint: `see "vial ps" and "vial logs ${name}"`,
      })

function inspect(found: Found): Inspection {
  const { sandbox, added, plan, monitor, init } = found
  const { name } = sandbox
  const facts = {
    ...(name === undefined ? {} : { name }),
    namespaces: namespaceFacts(found),
    ids: idFacts(found),
    mounts: compareMounts(init.mountinfo, mountsOf(found), monitor.mountinfo, added),
    limits: limitFacts(sandbox),
    untold: untoldFacts(plan),
    processes: processesOf(found),
  }
  return { ...facts, agreement: factsOf(facts).some((one) => one.agreement === 'differs') ? 'differs' : 'asked' }
}

/** The only child of its monitor. */
export function initOf({ monitor, init }: Inspected): ProcessFacts | undefined {
  const pid = init ?? runningProcesses().find(({ parent }) => parent === monitor.pid)?.pid
  const found = pid === undefined ? undefined : readProcess(pid)
  return found?.parent === monitor.pid ? found : undefined
}

/** As its monitor holds them, which init handed out; init itself shows them to root alone. */
function namespaceFacts({ plan, own, init }: Found): InspectedFact[] {
  const { handedOut = [], ownNet } = plan.start.living ?? {}
  const joins = ofKind(plan.world.monitor, 'join')
  return namespaceNames.map((name) => {
    const inode = own[name]
    const isOwn = handedOut.includes(name) || (name === 'net' && ownNet)
    if (inode === undefined) return fact(name, "the host's", isOwn ? 'own' : "the host's", isOwn ? 'differs' : 'asked')
    const inits = init.namespaces?.[name]
    const isInits = inits === undefined || inits === inode
    const from = joins.find(({ namespace }) => namespace === name)?.from
    if (from !== undefined) {
      const named = typeof from === 'string' ? namespaceAt(from) : undefined
      const agreement = named === undefined ? 'untold' : isInits && named === inode ? 'asked' : 'differs'
      return fact(name, String(inode), `that of ${from}`, agreement)
    }
    const isHosts = inode === namespaceAt(`/proc/self/ns/${kinds[name].file}`)
    return fact(name, `own ${inode}`, isOwn ? 'own' : "the host's", isInits && isOwn && !isHosts ? 'asked' : 'differs')
  })
}

function mountsOf({ plan, init }: Found): readonly ExpectedMount[] | undefined {
  // Where the mounts are not its own, the plan makes none.
  if (ofKind(plan.world.init, 'pivot').length === 0) return undefined
  return expectedMounts(plan.world.init, { ownsHost: ownsHost(init) })
}

function limitFacts({ group, policy }: Inspected): InspectedFact[] {
  if (policy.limits === undefined) return []
  const limits = parseLimits(policy.limits)
  if (group === undefined) return []
  return inspectLimits(group, limits, groupOf({ group, policy })?.holds ?? [], (policy.init ?? 'reaper') === 'reaper')
}

/** Kinds of steps of whose effect the kernel tells nothing to another process, and what each is called. */
const untold = {
  landlock: 'Landlock',
  filter: 'content of the filter',
  newKeyring: 'session keyring',
  secureBits: 'secure bits',
  limitUserns: 'user namespaces below',
  hostname: 'host name',
  domainname: 'domain name',
  wallTime: 'timer',
  cpuTime: 'CPU time',
} as const satisfies Partial<Record<StepKind, string>>

function untoldFacts({ world, entrant, start }: Plan): InspectedFact[] {
  const steps = [...world.monitor, ...start.watch, ...world.init, ...entrant.once, ...entrant.shared, ...entrant.each]
  return steps.flatMap((step) =>
    step.do in untold ? [fact(untold[step.do as keyof typeof untold], undefined, step.what, 'untold')] : [],
  )
}

function processesOf(found: Found): InspectedProcess[] {
  const { sandbox, plan, monitor, init, own, monitors } = found
  const callers = namespacesAt((kind) => `/proc/self/ns/${kinds[kind].file}`)
  const owned = new Set(Object.values(own))
  const expectation: Expectation = {
    plan,
    init,
    monitor,
    ids: idsOutside(found),
    filtersOutside: Math.min(monitor.filters ?? 0, readProcess(process.pid)?.filters ?? 0),
    namespaces: { ...monitors, ...own },
    outside: new Set([...Object.values(callers), ...Object.values(monitors)].filter((inode) => !owned.has(inode))),
    group: sandbox.group?.paths ?? [],
  }
  const pids = pidsOf({ init: init.pid, namespaces: own, group: sandbox.group })
  return pids.flatMap((pid): InspectedProcess[] => {
    const process = readProcess(pid)
    if (process === undefined) return []
    const origin = pid === init.pid ? 'init' : pids.includes(process.parent) ? 'inside' : 'entered'
    return [inspectProcess(process, origin, expectation)]
  })
}
