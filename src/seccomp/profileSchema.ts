/**
 * What a seccomp profile may say: ours, typed, and that of Docker and the OCI runtime specification, in JSON
 * (`linux.seccomp` of https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md, and Docker's additions).
 */
import * as v from 'valibot'
import { type AnySyscallName, abiSyscalls, abisOf } from '../kernel/abis.js'
import { architectures } from '../kernel/architecture.js'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { type ErrnoName, errno } from '../kernel/errno.js'
import { either, type OfOneKind, object, oneKind } from '../text/shapes.js'
import { word } from './filterRules.js'

const largestErrno = 4095
const valueFault = 'must be a whole number from 0 up; one above 2^53 as text, such as "0xffffffff00000000"'
const value = v.pipe(
  v.union([v.number(), v.string()], valueFault),
  v.check((number) => word(number) !== undefined, valueFault),
)
const argument = v.pipe(
  v.number(),
  v.check(
    (number) => Number.isInteger(number) && number >= 0 && number <= 5,
    'must be the number of an argument, 0 to 5',
  ),
)
const errnoNames = Object.keys(errno) as ErrnoName[]
const errnoFault = 'is not an error: use names such as EPERM'
const errnoNumber = v.pipe(
  v.number(),
  v.check((number) => Number.isInteger(number) && number >= 0 && number <= largestErrno, 'must be from 0 to 4095'),
)
const sixteenBits = v.pipe(
  v.number(),
  v.check((number) => Number.isInteger(number) && number >= 0 && number <= 0xffff, 'must be from 0 to 65535'),
)
const capability = v.picklist(
  Object.keys(capabilities) as CapabilityName[],
  'is not a capability: use names such as CAP_SYS_CHROOT',
)

const known = (name: unknown) =>
  architectures.some((architecture) => abisOf[architecture].some((abi) => abiSyscalls(abi).has(name as string)))
const systemCall = v.custom<AnySyscallName>(known, 'is not a system call of Linux 6.18')

/** Sandboxes that a rule may be for. `noNetwork`: in a network namespace of its own; the others share those of the caller. */
export const situations = ['noNetwork', 'sharedPids', 'sharedSession'] as const
export type Situation = (typeof situations)[number]

const actionNames = ['allow', 'log', 'trap', 'kill', 'killThread'] as const
const actionFault = `must be one of ${actionNames.join(', ')}, { errno } or { trace }`
/** The call fails with this errno; 0: it does nothing, and succeeds. */
export interface ErrnoAction {
  readonly errno: ErrnoName | 0
  readonly trace?: never
}
/** A tracer is told this number, or the call fails with ENOSYS: seccomp(2). */
export interface TraceAction {
  readonly trace: number
  readonly errno?: never
}
export type SeccompAction = (typeof actionNames)[number] | ErrnoAction | TraceAction

const action: v.GenericSchema<SeccompAction> = either(
  {
    word: v.picklist(actionNames, actionFault),
    object: oneKind('an action', {
      errno: object({ errno: v.picklist([...errnoNames, 0], errnoFault) }),
      trace: object({ trace: sixteenBits }),
    }),
  },
  actionFault,
)

/** Such a test could never hold, or always would. */
const inMask = v.check<ArgumentTest, string>(({ arg, mask = '0xffffffffffffffff', ...comparison }) => {
  const bits = word(mask)
  return (Object.values(comparison).flat() as (number | string)[]).every((given) => {
    const one = word(given)
    // What is no number at all is another fault.
    return one === undefined || bits === undefined || ((one.high & ~bits.high) === 0 && (one.low & ~bits.low) === 0)
  })
}, 'has a value with bits outside of its mask')
const comparison = { arg: argument, mask: v.optional(value) }
/** Tests of an argument, by the key that names the comparison; unsigned, of all 64 bits, after `mask`. */
const tests = {
  eq: object({ ...comparison, eq: value }),
  ne: object({ ...comparison, ne: value }),
  lt: object({ ...comparison, lt: value }),
  le: object({ ...comparison, le: value }),
  gt: object({ ...comparison, gt: value }),
  ge: object({ ...comparison, ge: value }),
  /** One of these. */
  in: object({ ...comparison, in: v.pipe(v.array(value), v.minLength(1, 'names no value')) }),
  notIn: object({ ...comparison, notIn: v.pipe(v.array(value), v.minLength(1, 'names no value')) }),
} as const
export type ArgumentTest = OfOneKind<v.InferInput<(typeof tests)[keyof typeof tests]>>
export const comparisonNames = Object.keys(tests) as (keyof typeof tests)[]

const test: v.GenericSchema<ArgumentTest> = v.pipe(
  oneKind('a test', tests) as unknown as v.GenericSchema<ArgumentTest>,
  inMask,
)

const rule = object({
  /** Names; one that an ABI does not have is no fault there. */
  calls: v.pipe(v.array(systemCall), v.minLength(1, 'names no system call')),
  /** All of these must hold; default: none, the rule fits every call. */
  when: v.optional(v.array(test)),
  /** The rule is there only if the policy keeps this capability. */
  capability: v.optional(capability),
  /** The rule is there only in a sandbox of this kind. Default: in every one. */
  where: v.optional(v.picklist(situations, `must be one of ${situations.join(', ')}`)),
  do: action,
})

/** A profile of our own. */
export const profileSchema = object({
  /** For calls that no rule fits. */
  default: action,
  /** For numbers above those of Linux 6.18. Default: ENOSYS where `default` is an errno, so that programs fall back; else `default`. */
  newer: v.optional(action),
  /** Other ABIs of the machine that may be used; a call by any that is not named kills the process. Default: none. */
  abis: v.optional(v.array(v.picklist(['x32', 'i386', 'arm32'], 'must be "x32", "i386" or "arm32"'))),
  /** In order: the first that fits decides. */
  rules: v.array(rule),
})
/** A profile of system calls in vial's own format: docs/seccomp.md. */
export type SeccompProfile = v.InferInput<typeof profileSchema>

// Docker's and the OCI's.

export const ociActions = [
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_TRAP',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_TRACE',
  'SCMP_ACT_LOG',
  'SCMP_ACT_ALLOW',
] as const
export type OciAction = (typeof ociActions)[number]
const ociAction = v.picklist(ociActions, (issue) =>
  issue.input === 'SCMP_ACT_NOTIFY'
    ? 'SCMP_ACT_NOTIFY needs an agent outside that answers, which vial does not have'
    : `must be one of ${ociActions.join(', ')}`,
)

/** Those of the specification; only the machine's own mean anything here. */
const ociArchitectures = [
  ...['X86', 'X86_64', 'X32', 'ARM', 'AARCH64', 'MIPS', 'MIPS64', 'MIPS64N32', 'MIPSEL', 'MIPSEL64', 'MIPSEL64N32'],
  ...['PPC', 'PPC64', 'PPC64LE', 'S390', 'S390X', 'PARISC', 'PARISC64', 'RISCV64', 'LOONGARCH64', 'M68K', 'SH', 'SHEB'],
].map((name) => `SCMP_ARCH_${name}`)
const ociArchitecture = v.picklist(ociArchitectures, 'is not an architecture: use names such as SCMP_ARCH_X86_64')

export const ociOperators = [
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_EQ',
  'SCMP_CMP_GE',
  'SCMP_CMP_GT',
  'SCMP_CMP_MASKED_EQ',
] as const

/** The flags of seccomp(2) that mean something for a filter loaded by a process with one thread. */
export const ociFlags = [
  'SECCOMP_FILTER_FLAG_TSYNC',
  'SECCOMP_FILTER_FLAG_LOG',
  'SECCOMP_FILTER_FLAG_SPEC_ALLOW',
  'SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV',
] as const

const filterOf = v.nullish(
  object({
    caps: v.nullish(v.array(v.string())),
    arches: v.nullish(v.array(v.string())),
    minKernel: v.nullish(v.pipe(v.string(), v.regex(/^\d+\.\d+/, 'must be a version such as "4.8"'))),
  }),
)
const noListener = v.check<string | null | undefined, string>(
  (given) => !given,
  'needs an agent outside that answers, which vial does not have',
)

const ociSyscall = v.pipe(
  object({
    names: v.nullish(v.pipe(v.array(v.string()), v.minLength(1, 'names no system call'))),
    /** Docker's, before there was `names`. */
    name: v.nullish(v.string()),
    action: ociAction,
    errnoRet: v.nullish(sixteenBits),
    errno: v.nullish(v.picklist([...errnoNames, ''], errnoFault)),
    args: v.nullish(
      v.array(
        object({
          index: argument,
          value: v.optional(value),
          valueTwo: v.optional(value),
          op: v.picklist(ociOperators, `must be one of ${ociOperators.join(', ')}`),
        }),
      ),
    ),
    comment: v.nullish(v.string()),
    includes: filterOf,
    excludes: filterOf,
  }),
  v.check((one) => (one.names ?? undefined) === undefined || !one.name, 'has both names and name'),
  v.check((one) => (one.names ?? undefined) !== undefined || Boolean(one.name), 'names no system call'),
  v.forward(
    v.check(
      ({ action, errnoRet }) =>
        (errnoRet ?? undefined) === undefined || action === 'SCMP_ACT_ERRNO' || action === 'SCMP_ACT_TRACE',
      'goes only with SCMP_ACT_ERRNO and SCMP_ACT_TRACE',
    ),
    ['errnoRet'],
  ),
  v.forward(
    v.check(
      ({ action, errnoRet }) => action !== 'SCMP_ACT_ERRNO' || (errnoRet ?? 0) <= largestErrno,
      'must be from 0 to 4095',
    ),
    ['errnoRet'],
  ),
)

/** A profile in the format of Docker and the OCI. */
export const ociSchema = v.pipe(
  object({
    defaultAction: ociAction,
    defaultErrnoRet: v.nullish(errnoNumber),
    defaultErrno: v.nullish(v.picklist([...errnoNames, ''], errnoFault)),
    architectures: v.nullish(v.array(ociArchitecture)),
    archMap: v.nullish(
      v.array(object({ architecture: ociArchitecture, subArchitectures: v.nullish(v.array(ociArchitecture)) })),
    ),
    flags: v.nullish(v.array(v.picklist(ociFlags, `must be one of ${ociFlags.join(', ')}`))),
    listenerPath: v.pipe(v.nullish(v.string()), noListener),
    listenerMetadata: v.pipe(v.nullish(v.string()), noListener),
    syscalls: v.nullish(v.array(ociSyscall)),
  }),
  v.check(
    (profile) => !profile.architectures?.length || !profile.archMap?.length,
    'has both architectures and archMap: use one of them',
  ),
)
/** A profile of system calls in the format of Docker and the OCI. */
export type OciProfile = v.InferInput<typeof ociSchema>
export type OciSyscall = v.InferInput<typeof ociSyscall>

export const profileNames = ['default', 'strict', 'nested', 'none'] as const
export type ProfileName = (typeof profileNames)[number]

const seccompFault = `must be one of ${profileNames.join(', ')}, a profile, or one in Docker's format`
/** What a policy's key `seccomp` may be. */
export const seccompSchema: v.GenericSchema<ProfileName | SeccompProfile | OciProfile> = either(
  {
    word: v.picklist(profileNames, seccompFault),
    object: oneKind('a profile', { default: profileSchema, defaultAction: ociSchema }),
  },
  seccompFault,
)
