/** What a profile says about a call, read word by word from the profile itself: slow, and with no code of the compiler. */
import { type Abi, abiFacts, abiSyscalls, abisOf } from '../../src/kernel/abis.js'
import type { Architecture } from '../../src/kernel/architecture.js'
import { errno } from '../../src/kernel/errno.js'
import { ipcCalls, socketcalls } from '../../src/kernel/syscalls32.js'
import type {
  ArgumentTest,
  OciProfile,
  OciSyscall,
  SeccompAction,
  SeccompProfile,
} from '../../src/seccomp/profileSchema.js'
import type { Call } from './interpreter.js'

export const returns = {
  killProcess: 0x80000000,
  killThread: 0,
  trap: 0x30000,
  errno: 0x50000,
  trace: 0x7ff00000,
  log: 0x7ffc0000,
  allow: 0x7fff0000,
}
const newestShared = 469

/** The ABI a call is made by, if the profile lets it be used. */
function abiOf(call: Call, usable: readonly Abi[]): Abi | undefined {
  const x32 = call.number >= 0x40000000 && call.number !== 0xffffffff
  return usable.find((abi) =>
    abiFacts[abi].audit !== call.arch ? false : abi === 'x32' ? x32 : abi === 'x64' ? !x32 : true,
  )
}

const known = new Map<string, readonly string[]>()
/** The names of a number: arm's sync_file_range2 has two. */
function namesOf(abi: Abi, number: number): readonly string[] {
  const key = `${abi} ${number}`
  let names = known.get(key)
  if (names === undefined) {
    names = [...abiSyscalls(abi)].filter((entry) => entry[1] === number).map(([name]) => name)
    known.set(key, names)
  }
  return names
}

const bits = (abi: Abi) => (abiFacts[abi].wide ? 64 : 32)

// Ours.

function actionOf(action: SeccompAction): number {
  if (typeof action === 'object')
    return 'errno' in action
      ? returns.errno + (action.errno === 0 ? 0 : errno[action.errno])
      : returns.trace + action.trace
  return action === 'kill' ? returns.killProcess : returns[action]
}

function fits(test: ArgumentTest, call: Call, abi: Abi): boolean {
  const number = (value: number | string) => BigInt.asUintN(bits(abi), BigInt(value))
  const arg = BigInt.asUintN(bits(abi), call.args[test.arg]!) & number(test.mask ?? '0xffffffffffffffff')
  if ('eq' in test) return arg === number(test.eq)
  if ('ne' in test) return arg !== number(test.ne)
  if ('lt' in test) return arg < number(test.lt)
  if ('le' in test) return arg <= number(test.le)
  if ('gt' in test) return arg > number(test.gt)
  if ('ge' in test) return arg >= number(test.ge)
  if ('in' in test) return test.in.map(number).includes(arg)
  return !test.notIn.map(number).includes(arg)
}

export function naiveDecision(
  profile: SeccompProfile,
  architecture: Architecture,
  capabilities: readonly string[],
  call: Call,
  situations: readonly string[] = [],
): number {
  const own = abisOf[architecture][0]
  const abi = abiOf(call, [
    own,
    ...abisOf[architecture].filter((one) => (profile.abis as Abi[] | undefined)?.includes(one)),
  ])
  if (abi === undefined) return returns.killProcess
  const names = namesOf(abi, call.number)
  let namesIt = false
  for (const rule of profile.rules) {
    if (rule.capability !== undefined && !capabilities.includes(rule.capability)) continue
    if (rule.where !== undefined && !situations.includes(rule.where)) continue
    if (!rule.calls.some((name) => names.includes(name))) continue
    namesIt = true
    if ((rule.when ?? []).every((test) => fits(test, call, abi))) return actionOf(rule.do)
  }
  // arm's private calls stand above all others without being newer, where a rule names them.
  if (namesIt) return actionOf(profile.default)
  const plain = call.number - abiFacts[abi].base
  // x32's own calls go up to 547, above the shared ones.
  if (plain <= (abi === 'x32' ? 547 : newestShared)) return actionOf(profile.default)
  if (profile.newer !== undefined) return actionOf(profile.newer)
  return typeof profile.default === 'object' && 'errno' in profile.default
    ? returns.errno + 38
    : actionOf(profile.default)
}

// Docker's.

function ociAction(action: string, number: number | null | undefined): number {
  const data = number ?? 1
  const table: Record<string, number> = {
    SCMP_ACT_KILL: returns.killThread,
    SCMP_ACT_KILL_THREAD: returns.killThread,
    SCMP_ACT_KILL_PROCESS: returns.killProcess,
    SCMP_ACT_TRAP: returns.trap,
    SCMP_ACT_LOG: returns.log,
    SCMP_ACT_ALLOW: returns.allow,
    SCMP_ACT_ERRNO: returns.errno + data,
    SCMP_ACT_TRACE: returns.trace + data,
  }
  return table[action]!
}

type OciTest = NonNullable<OciSyscall['args']>[number]
function ociFits({ index, op, value = 0, valueTwo = 0 }: OciTest, call: Call, abi: Abi): boolean {
  const number = (one: number | string) => BigInt.asUintN(bits(abi), BigInt(one))
  const [arg, first] = [number(String(call.args[index]!)), number(value)]
  switch (op) {
    case 'SCMP_CMP_EQ':
      return arg === first
    case 'SCMP_CMP_NE':
      return arg !== first
    case 'SCMP_CMP_LT':
      return arg < first
    case 'SCMP_CMP_LE':
      return arg <= first
    case 'SCMP_CMP_GT':
      return arg > first
    case 'SCMP_CMP_GE':
      return arg >= first
    case 'SCMP_CMP_MASKED_EQ':
      return (arg & first) === (number(valueTwo) & first)
  }
}

/** From the mildest to the strictest. */
const order = [
  returns.allow,
  returns.log,
  returns.trace,
  returns.errno,
  returns.trap,
  returns.killThread,
  returns.killProcess,
]

/** Without `includes` and `excludes`, and for any ABI that the profile lists. */
export function naiveOciDecision(profile: OciProfile, architecture: Architecture, call: Call): number {
  const scmp: Record<Abi, string> = { x64: 'X86_64', x32: 'X32', i386: 'X86', arm64: 'AARCH64', arm32: 'ARM' }
  const [own, ...others] = abisOf[architecture] as readonly Abi[]
  const listed = others.filter((abi) => profile.architectures?.includes(`SCMP_ARCH_${scmp[abi]}`))
  const abi = abiOf(call, [own!, ...listed])
  if (abi === undefined) return returns.killProcess
  const otherwise = ociAction(profile.defaultAction, profile.defaultErrnoRet)
  // What the call is called, and what it would be behind socketcall or ipc.
  const direct = namesOf(abi, call.number)
  const gate = abi === 'i386' ? { socketcall: socketcalls, ipc: ipcCalls }[direct[0] ?? ''] : undefined
  const which = Number(BigInt.asUintN(32, call.args[0]!))
  const behind = Object.entries(gate ?? {}).find(([, first]) => first === which)?.[0]
  let namesIt = false
  const fitting: { always: boolean; action: number }[] = []
  for (const one of profile.syscalls ?? []) {
    const args = one.args ?? []
    const lists = new Set(args.map(({ index }) => index)).size < args.length ? args.map((test) => [test]) : [args]
    const action = ociAction(one.action, one.errnoRet)
    if (action === otherwise) continue
    const isDirect = one.names?.some((name) => direct.includes(name))
    const isBehind = one.names?.includes(behind ?? '?')
    namesIt ||= isDirect === true || (gate !== undefined && one.names!.some((name) => name in gate))
    for (const tests of lists) {
      if (isDirect && tests.every((test) => ociFits(test, call, abi)))
        fitting.push({ always: tests.length === 0, action })
      if (isBehind && tests.every((test) => test.index === 0 || ociFits(test, call, abi)))
        fitting.push({ always: false, action })
    }
  }
  const always = fitting.find((one) => one.always)
  if (always !== undefined) return always.action
  fitting.sort((a, b) => order.indexOf(kind(b.action)) - order.indexOf(kind(a.action)))
  if (fitting[0] !== undefined) return fitting[0].action
  const newest = newestNamed(profile, abi)
  const isNewer = newest >= 0 && call.number > newest && !namesIt
  return isNewer && kind(otherwise) === returns.errno ? returns.errno + 38 : otherwise
}

const kind = (action: number) => (action & 0xffff0000) >>> 0

const newestKnown = new WeakMap<OciProfile, Map<Abi, number>>()
/** The largest number that the profile names; arm's private calls stand above all others without being newer. */
export function newestNamed(profile: OciProfile, abi: Abi): number {
  const known = newestKnown.get(profile) ?? new Map<Abi, number>()
  newestKnown.set(profile, known)
  let newest = known.get(abi)
  if (newest === undefined) {
    const all = (profile.syscalls ?? []).flatMap(({ names }) => names ?? [])
    const numbers = abiSyscalls(abi)
    const gates =
      abi !== 'i386'
        ? []
        : all.flatMap((name) => (name in socketcalls ? ['socketcall'] : name in ipcCalls ? ['ipc'] : []))
    newest = Math.max(
      -1,
      ...[...all, ...gates].map((name) => numbers.get(name) ?? -1).filter((one) => one < 0xf0000 || abi === 'x32'),
    )
    known.set(abi, newest)
  }
  return newest
}
