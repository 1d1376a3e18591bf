/** Random profiles, of both kinds, for fast-check. Names are few, so that rules meet; numbers are near one another. */
import fc from 'fast-check'
import { type AnySyscallName, abiSyscalls } from '../../src/kernel/abis.js'
import {
  type ArgumentTest,
  comparisonNames,
  type OciProfile,
  ociActions,
  ociOperators,
  type SeccompAction,
  type SeccompProfile,
} from '../../src/seccomp/profileSchema.js'

const every = [
  ...new Set([...abiSyscalls('x64').keys(), ...abiSyscalls('i386').keys(), ...abiSyscalls('arm32').keys()]),
] as AnySyscallName[]
const few: readonly AnySyscallName[] = [
  'read',
  'ioctl',
  'socket',
  'shmat',
  'semop',
  'clone',
  'open',
  'file_setattr',
  'cacheflush',
  'execve',
]
const name = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...few) },
  { weight: 1, arbitrary: fc.constantFrom(...every) },
)
const names = fc.oneof(
  { weight: 8, arbitrary: fc.array(name, { minLength: 1, maxLength: 6 }) },
  // Many, so that jumps get long.
  { weight: 1, arbitrary: fc.subarray(every, { minLength: 100 }) },
)

/** Text, for one above 2^53 would not be exact. */
const text = (value: bigint) => `0x${value.toString(16)}`
export const interesting: readonly bigint[] = [
  0n,
  1n,
  2n,
  5n,
  0x5412n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  0x100000000n,
  0x100000001n,
  0x500000005n,
  0x8000000000000000n,
  0xffffffff00000000n,
  0xffffffffffffffffn,
]
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...interesting) },
  { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
)
const arg = fc.constantFrom(0, 0, 0, 1, 1, 2, 5)

const action: fc.Arbitrary<SeccompAction> = fc.oneof(
  fc.constantFrom('allow', 'allow', 'log', 'trap', 'kill', 'killThread'),
  fc.constantFrom({ errno: 'EPERM' }, { errno: 'EACCES' }, { errno: 'ENOSYS' }),
  fc.constantFrom({ trace: 0 }, { trace: 65535 }),
)

const argumentTest: fc.Arbitrary<ArgumentTest> = fc
  .record({
    arg,
    mask: fc.option(value, { nil: undefined }),
    op: fc.constantFrom(...comparisonNames),
    values: fc.array(value, { minLength: 1, maxLength: 4 }),
  })
  .map(({ arg, mask, op, values }) => {
    const within = values.map((one) => text(mask === undefined ? one : one & mask))
    return {
      arg,
      ...(mask === undefined ? {} : { mask: text(mask) }),
      [op]: op === 'in' || op === 'notIn' ? within : within[0],
    } as unknown as ArgumentTest
  })

export const typedProfile: fc.Arbitrary<SeccompProfile> = fc.record(
  {
    default: action,
    newer: action,
    abis: fc.subarray<'x32' | 'i386' | 'arm32'>(['x32', 'i386', 'arm32']),
    rules: fc.array(
      fc.record(
        {
          calls: names,
          when: fc.array(argumentTest, { maxLength: 4 }),
          capability: fc.constant('CAP_CHOWN' as const),
          do: action,
        },
        { requiredKeys: ['calls', 'do'] },
      ),
      { maxLength: 30 },
    ),
  },
  { requiredKeys: ['default', 'rules'] },
)

const errnoRet = fc.constantFrom(0, 1, 13, 38, 4095)
export const ociProfile: fc.Arbitrary<OciProfile> = fc.record({
  defaultAction: fc.constantFrom(...ociActions),
  defaultErrnoRet: fc.option(errnoRet, { nil: null }),
  architectures: fc.subarray(['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM', 'SCMP_ARCH_S390X']),
  syscalls: fc.array(
    fc
      .record({
        names: names.map((list): string[] => [...list, 'no_such_call']),
        action: fc.constantFrom(...ociActions),
        errnoRet: fc.option(errnoRet, { nil: null }),
        args: fc.array(
          fc.record({
            index: arg,
            op: fc.constantFrom(...ociOperators),
            value: value.map(text),
            valueTwo: value.map(text),
          }),
          { maxLength: 3 },
        ),
      })
      .map((one) =>
        one.action === 'SCMP_ACT_ERRNO' || one.action === 'SCMP_ACT_TRACE' ? one : { ...one, errnoRet: null },
      ),
    { maxLength: 20 },
  ),
})
