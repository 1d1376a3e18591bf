/** What a filter decides, read from its rules instead of from its code. */
import { abiFacts, abiSyscalls } from '../kernel/abis.js'
import { architectures } from '../kernel/architecture.js'
import type { CapabilityName } from '../kernel/capabilities.js'
import { SECCOMP } from '../kernel/flags.js'
import { filterOf, profiles, type Seccomp } from './compileProfile.js'
import type { AbiFilter, Test, Word } from './filterRules.js'

/** The action for a call of this ABI. */
export function actionFor(filter: AbiFilter, number: number, args: readonly Word[]): number {
  const rules = filter.rules.get(number)
  const fitting = rules?.find(({ tests }) =>
    tests.every((test) => holds(test, args[test.arg]!, abiFacts[filter.abi].wide)),
  )
  if (fitting !== undefined) return fitting.action
  return number > filter.newest && rules === undefined ? filter.newer : filter.otherwise
}

const big = ({ high, low }: Word, wide: boolean) => (wide ? BigInt(high) << 32n : 0n) | BigInt(low)

function holds({ mask, op, values, negate }: Test, arg: Word, wide: boolean): boolean {
  const masked = big(arg, wide) & big(mask, wide)
  const found = values.some((value) => {
    const other = big(value, wide)
    return op === 'in' ? masked === other : op === 'gt' ? masked > other : masked >= other
  })
  return found !== negate
}

/** TIOCSTI, TIOCLINUX; ioctl_tty(2). */
const typing = [0x5412, 0x541c]

/** Whether a program under this profile may type into its terminal, on any architecture and by any ABI. */
export function allowsTyping(seccomp: Seccomp, capabilities: readonly CapabilityName[]): boolean {
  if (seccomp === 'none') return true
  const profile = typeof seccomp === 'string' ? profiles[seccomp] : seccomp
  const zero: Word = { high: 0, low: 0 }
  return architectures.some((architecture) =>
    filterOf(profile, { architecture, capabilities, kernel: '999.0' }).abis.some((filter) =>
      // The kernel looks at the low half only.
      typing.some((low) =>
        [0, 1].some((high) => {
          const action = actionFor(filter, abiSyscalls(filter.abi).get('ioctl')!, [
            zero,
            { high, low },
            zero,
            zero,
            zero,
            zero,
          ])
          return action === SECCOMP.RET_ALLOW || action === SECCOMP.RET_LOG
        }),
      ),
    ),
  )
}
