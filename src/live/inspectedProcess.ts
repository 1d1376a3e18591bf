/** What is looked at of each process in a sandbox: a row for each thing, with what its plan makes of it. */
import { hierarchies } from '../cgroup/hierarchies.js'
import { capabilities, type CapabilityName } from '../kernel/capabilities.js'
import { type NamespaceName, namespaceNames } from '../kernel/namespaces.js'
import { RLIM_INFINITY } from '../kernel/rlimits.js'
import type { Plan } from '../plan/plan.js'
import { isWithin } from '../policy/path.js'
import { agreementOfMost, agreementOfSets, fact, type InspectedFact, type InspectedProcess } from './inspection.js'
import { hardening } from './planSteps.js'
import type { ProcessFacts } from './readProcess.js'

/** What the processes of a sandbox are compared with. */
export interface Expectation {
  readonly plan: Plan
  readonly init: ProcessFacts
  readonly monitor: ProcessFacts
  /** The payload's, as they are outside. */
  readonly ids: { readonly uid: number; readonly gid: number }
  /** How many filters are in force outside: a process inherits those of its maker. */
  readonly filtersOutside: number
  /** Inodes of what the sandbox is in. */
  readonly namespaces: Readonly<Partial<Record<NamespaceName, number>>>
  /** Those of the caller, and of the monitor where they are not the sandbox's. */
  readonly outside: ReadonlySet<number>
  readonly group: readonly string[]
}

export function inspectProcess(
  process: ProcessFacts,
  origin: InspectedProcess['origin'],
  expectation: Expectation,
): InspectedProcess {
  const depth = expectation.init.pids.length
  return {
    pid: process.pid,
    inside: process.pids[depth - 1] ?? 0,
    origin,
    command: process.command,
    facts: rows.flatMap((row) => row(process, expectation, origin === 'init')),
  }
}

type Row = (process: ProcessFacts, expectation: Expectation, isInit: boolean) => readonly InspectedFact[]

/** What the payload may have, and so may what enters in its place. */
function keeps({ plan }: Expectation, name: CapabilityName): boolean {
  const [step] = hardening(plan, 'capabilities')
  return step === undefined || 'without' in step.keep || step.keep.includes(name)
}

/** Ids as they are outside. Who may change them, may have any that the sandbox has: it has no other. */
const idsRow: Row = ({ uids, gids }, expectation) =>
  (
    [
      ['uid', uids, expectation.ids.uid, 'CAP_SETUID'],
      ['gid', gids, expectation.ids.gid, 'CAP_SETGID'],
    ] as const
  ).map(([name, all, asked, changer]) => {
    const found = [...new Set(all)].map(String)
    const agreement = keeps(expectation, changer) ? 'asked' : agreementOfSets(found, [String(asked)])
    return fact(name, found.length === 1 ? all[0] : found, asked, agreement)
  })

/** An ordinary caller cannot give up its groups: setgroups(2). */
const groupsRow: Row = ({ groups }, expectation) => {
  const kept = expectation.monitor.groups.map(String)
  const found = groups.map(String)
  const agreement = keeps(expectation, 'CAP_SETGID') ? 'asked' : agreementOfSets(found, kept)
  return [fact('groups', found, kept, agreement)]
}

const everyCapability = Object.keys(capabilities) as CapabilityName[]

/** In a user namespace of its own, which a payload may be free to make, a process has what is of no use in the sandbox's. */
const capabilitiesRow: Row = (process, expectation) => {
  const [step] = hardening(expectation.plan, 'capabilities')
  const asked = step === undefined || 'without' in step.keep ? everyCapability : step.keep
  const apart = inOtherUsers(process, expectation)
  const { bounding, ...others } = process.capabilities
  return (
    [
      ['capabilities', [...new Set(Object.values(others).flat())]],
      ['bounding set', bounding],
    ] as const
  ).map(([name, found]) => fact(name, found, asked, apart ? 'untold' : agreementOfSets(found, asked)))
}

function inOtherUsers({ namespaces, uidMap }: ProcessFacts, expectation: Expectation): boolean {
  const user = namespaces?.user
  if (user === undefined) return uidMap !== expectation.init.uidMap
  return user !== expectation.namespaces.user && !expectation.outside.has(user)
}

const noNewPrivsRow: Row = ({ noNewPrivs }, { plan }) => {
  const asked = hardening(plan, 'noNewPrivs').length > 0
  return [fact('no_new_privs', flag(noNewPrivs), flag(asked), agreementOfMost(Number(asked), Number(noNewPrivs)))]
}
const flag = (is: boolean) => (is ? 'yes' : 'no')

/** Init itself loads none. What is in them, the kernel tells only to a process with CAP_SYS_ADMIN that traces it: ptrace(2). */
const filtersRow: Row = ({ filters, filtered }, { plan, filtersOutside }, isInit) => {
  if (isInit) return []
  const asked = hardening(plan, 'filter').length + filtersOutside
  if (filters === undefined) {
    const agreement = filtered || asked === 0 ? 'untold' : 'differs'
    return [fact('filters of system calls', flag(filtered), asked, agreement)]
  }
  return [fact('filters of system calls', filters, asked, agreementOfMost(asked, filters))]
}

/** The leader of a session outside is none inside: its number there is 0. */
const sessionRow: Row = ({ sessions }, { plan, init }, isInit) => {
  if (isInit || hardening(plan, 'session').length === 0) return []
  const own = (sessions[init.pids.length - 1] ?? 0) !== 0
  return [fact('session', own ? 'own' : "the caller's", 'own', own ? 'asked' : 'differs')]
}

const rlimitsRow: Row = ({ rlimits }, { plan }, isInit) =>
  isInit
    ? []
    : hardening(plan, 'rlimit').map(({ name, hard, soft }) => {
        const found = rlimits[name]
        return fact(`rlimit ${name}`, rlimitText(found), rlimitText({ soft, hard }), agreementOfMost(found.hard, hard))
      })
const rlimitText = (limit: { readonly soft: bigint; readonly hard: bigint }) =>
  [limit.soft, limit.hard].map((value) => (value === RLIM_INFINITY ? 'unlimited' : String(value))).join(':')

/** The same as the sandbox's; what it made below them is no way out. */
const namespacesRow: Row = ({ namespaces }, expectation) => {
  if (namespaces === undefined) return [fact('namespaces', undefined, "the sandbox's", 'untold')]
  const others = namespaceNames.filter((name) => namespaces[name] !== expectation.namespaces[name])
  if (others.length === 0) return [fact('namespaces', "the sandbox's", "the sandbox's", 'asked')]
  const outside = others.filter((name) => expectation.outside.has(namespaces[name] ?? 0))
  const found = others.map((name) => `${name}: ${outside.includes(name) ? "the host's" : 'another'}`)
  return [fact('namespaces', found, "the sandbox's", outside.length > 0 ? 'differs' : 'untold')]
}

/** In each hierarchy that limits it. */
const groupRow: Row = ({ cgroup }, { group }) => {
  if (group.length === 0) return []
  const found = hierarchies(undefined, cgroup).flatMap(({ own }) => own ?? [])
  const outside = group.filter((directory) => !found.some((own) => isWithin(own, directory)))
  return [
    fact(
      'cgroup',
      outside.length === 0 ? 'inside' : outside.map((directory) => `outside ${directory}`),
      'inside',
      outside.length === 0 ? 'asked' : 'differs',
    ),
  ]
}

const rows: readonly Row[] = [
  idsRow,
  groupsRow,
  namespacesRow,
  capabilitiesRow,
  noNewPrivsRow,
  filtersRow,
  sessionRow,
  rlimitsRow,
  groupRow,
]
