/**
 * A profile in the format of Docker and the OCI → filter, as libcontainer does it by libseccomp: what a name means on
 * each ABI, which rule decides when several name a call, and ENOSYS for calls newer than the profile.
 */
import { type Abi, abiSyscalls, abisOf, arm32Private } from '../kernel/abis.js'
import type { Architecture } from '../kernel/architecture.js'
import type { CapabilityName } from '../kernel/capabilities.js'
import { errno } from '../kernel/errno.js'
import { SECCOMP } from '../kernel/flags.js'
import { ipcCalls, socketcalls } from '../kernel/syscalls32.js'
import { type AbiFilter, everyBit, type Filter, type Rule, type Test, type Word, word } from './filterRules.js'
import type { OciAction, OciProfile, OciSyscall, ociFlags } from './profileSchema.js'
import { newerAction } from './typed.js'

/** What `includes` and `excludes` ask about. */
export interface Circumstances {
  readonly architecture: Architecture
  /** What the payload keeps. */
  readonly capabilities: readonly CapabilityName[]
  /** A release such as `6.18.0`. */
  readonly kernel: string
}

const scmpNames: Record<Abi, string> = { x64: 'X86_64', x32: 'X32', i386: 'X86', arm64: 'AARCH64', arm32: 'ARM' }
/** As Go names them, which is what `arches` lists. */
const goNames: Record<Architecture, string> = { x64: 'amd64', arm64: 'arm64' }

export function filterOfOci(profile: OciProfile, circumstances: Circumstances): Filter {
  const [own, ...others] = abisOf[circumstances.architecture] as readonly Abi[]
  const scmp = (abi: Abi) => `SCMP_ARCH_${scmpNames[abi]}`
  const mapped = profile.archMap?.find(({ architecture }) => architecture === scmp(own!))
  const named = profile.architectures ?? mapped?.subArchitectures ?? []
  const calls = (profile.syscalls ?? []).filter((call) => applies(call, circumstances))
  const abis = [own!, ...others.filter((abi) => named.includes(scmp(abi)))]
  return { abis: abis.map((abi) => abiFilter(profile, calls, abi)), foreign: SECCOMP.RET_KILL_PROCESS }
}

/** The flags of seccomp(2) that the profile asks for. */
export function flagsOfOci(profile: OciProfile): number {
  return (profile.flags ?? []).reduce((all, name) => all | flagValues[name], 0)
}
const flagValues: Record<(typeof ociFlags)[number], number> = {
  SECCOMP_FILTER_FLAG_TSYNC: SECCOMP.FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_LOG: SECCOMP.FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: SECCOMP.FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: SECCOMP.FILTER_FLAG_WAIT_KILLABLE_RECV,
}

/** Docker's conditions: all of `includes` must hold, and nothing of `excludes`. */
function applies({ includes, excludes }: OciSyscall, { architecture, capabilities, kernel }: Circumstances): boolean {
  const arch = goNames[architecture]
  const kept = capabilities as readonly string[]
  if (excludes?.arches?.includes(arch)) return false
  if (excludes?.caps?.some((name) => kept.includes(name))) return false
  if (excludes?.minKernel && atLeast(kernel, excludes.minKernel)) return false
  if (includes?.arches?.length && !includes.arches.includes(arch)) return false
  if (includes?.caps?.some((name) => !kept.includes(name))) return false
  return !includes?.minKernel || atLeast(kernel, includes.minKernel)
}

function atLeast(kernel: string, version: string): boolean {
  const [[major = 0, minor = 0], [wantedMajor = 0, wantedMinor = 0]] = [kernel, version].map((text) =>
    text.split('.').map((part) => Number.parseInt(part, 10)),
  ) as [number[], number[]]
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

function abiFilter(profile: OciProfile, calls: readonly OciSyscall[], abi: Abi): AbiFilter {
  const otherwise = actionValue(profile.defaultAction, profile.defaultErrno, profile.defaultErrnoRet)
  const rules = new Map<number, Rule[]>()
  let newest = -1
  for (const call of calls) {
    const action = actionValue(call.action, call.errno, call.errnoRet)
    const alternatives = alternativesOf(call)
    for (const name of call.names ?? [call.name!]) {
      for (const { number, first } of numbersOf(abi, name)) {
        if (number < arm32Private || abi === 'x32') newest = Math.max(newest, number)
        // libcontainer passes such a rule over, so that another may decide.
        if (action === otherwise) continue
        const found = rules.get(number) ?? []
        rules.set(number, found)
        for (const tests of alternatives)
          found.push({ tests: first === undefined ? tests : replaced(tests, first), action })
      }
    }
  }
  for (const [number, found] of rules) rules.set(number, ordered(found))
  // A profile that names nothing does not tell how old it is.
  return newest < 0
    ? { abi, rules, otherwise, newest: 0xffffffff, newer: otherwise }
    : { abi, rules, otherwise, newest, newer: newerAction(otherwise) }
}

/**
 * Which rule decides. One without tests stands above all with tests, whatever their actions, and the first such above
 * later ones: so it is in libseccomp. Where several with tests hold, libseccomp's own tree settles it in ways that are
 * not documented; here the strictest action does, in the kernel's order, and then the first.
 */
function ordered(rules: readonly Rule[]): Rule[] {
  const always = rules.find(({ tests }) => tests.length === 0)
  return always === undefined ? [...rules].sort((a, b) => strictness(a) - strictness(b)) : [always]
}

/** As the kernel orders actions: signed, with KILL_PROCESS below all; only the action, not its data. */
const strictness = ({ action }: Rule) => (action & 0xffff0000) | 0

/** Lists of tests, any of which will do. As in libcontainer, two tests of one argument make each test a rule. */
function alternativesOf({ args }: OciSyscall): readonly (readonly Test[])[] {
  const given = args ?? []
  const tests = given.map(testOf)
  const twice = new Set(given.map(({ index }) => index)).size < given.length
  return twice ? tests.map((test) => [test]) : [tests]
}

const zero: Word = { high: 0, low: 0 }
const and = (a: Word, b: Word): Word => ({ high: (a.high & b.high) >>> 0, low: (a.low & b.low) >>> 0 })

function testOf({ index, op, value = 0, valueTwo = 0 }: NonNullable<OciSyscall['args']>[number]): Test {
  const first = word(value) ?? zero
  const plain = { arg: index, mask: everyBit, values: [first] }
  switch (op) {
    case 'SCMP_CMP_EQ':
      return { ...plain, op: 'in', negate: false }
    case 'SCMP_CMP_NE':
      return { ...plain, op: 'in', negate: true }
    case 'SCMP_CMP_GT':
      return { ...plain, op: 'gt', negate: false }
    case 'SCMP_CMP_LE':
      return { ...plain, op: 'gt', negate: true }
    case 'SCMP_CMP_GE':
      return { ...plain, op: 'ge', negate: false }
    case 'SCMP_CMP_LT':
      return { ...plain, op: 'ge', negate: true }
    case 'SCMP_CMP_MASKED_EQ':
      // libseccomp masks the value too.
      return { arg: index, mask: first, op: 'in', values: [and(word(valueTwo) ?? zero, first)], negate: false }
  }
}

/**
 * The numbers a name has, and, where it is one of the calls behind socketcall(2) or ipc(2), the first argument there. As
 * in libseccomp, on i386 such a name means both the call itself and the one that stands for many.
 */
function numbersOf(abi: Abi, name: string): { number: number; first?: number }[] {
  const numbers = abiSyscalls(abi)
  const own = numbers.get(name)
  const found: { number: number; first?: number }[] = own === undefined ? [] : [{ number: own }]
  if (abi !== 'i386') return found
  for (const [gate, calls] of [
    ['socketcall', socketcalls],
    ['ipc', ipcCalls],
  ] as const) {
    const first = (calls as Readonly<Record<string, number>>)[name]
    if (first !== undefined) found.push({ number: numbers.get(gate)!, first })
  }
  return found
}

/** The same tests, but that the first argument is this: those of the first argument itself are then out of sight. */
function replaced(tests: readonly Test[], first: number): readonly Test[] {
  const which: Test = { arg: 0, mask: everyBit, op: 'in', values: [{ high: 0, low: first }], negate: false }
  return [which, ...tests.filter(({ arg }) => arg !== 0)]
}

function actionValue(action: OciAction, name: string | null | undefined, number: number | null | undefined): number {
  const data = number ?? (name ? errno[name as keyof typeof errno] : errno.EPERM)
  switch (action) {
    case 'SCMP_ACT_ERRNO':
      return SECCOMP.RET_ERRNO | data
    case 'SCMP_ACT_TRACE':
      return SECCOMP.RET_TRACE | data
    case 'SCMP_ACT_ALLOW':
      return SECCOMP.RET_ALLOW
    case 'SCMP_ACT_LOG':
      return SECCOMP.RET_LOG
    case 'SCMP_ACT_TRAP':
      return SECCOMP.RET_TRAP
    case 'SCMP_ACT_KILL_PROCESS':
      return SECCOMP.RET_KILL_PROCESS
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return SECCOMP.RET_KILL_THREAD
  }
}
