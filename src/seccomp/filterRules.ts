/**
 * What a profile becomes before it is code: for each ABI, the rules of each system call number. Actions are the values
 * that a filter returns, SECCOMP_RET_… with its data; seccomp(2).
 */
import { type Abi, abiSyscalls } from '../kernel/abis.js'
import { SECCOMP } from '../kernel/flags.js'

/** A 64-bit number in two halves: the registers of classic BPF have 32 bits. */
export interface Word {
  readonly high: number
  readonly low: number
}

/** A test of one argument, after `mask`. On an ABI of 32 bits only the low halves count, as libseccomp has it. */
export interface Test {
  readonly arg: number
  readonly mask: Word
  /** `in`: one of the values; `gt`, `ge`: unsigned, against the only value. */
  readonly op: 'in' | 'gt' | 'ge'
  readonly values: readonly Word[]
  /** The test is the opposite. */
  readonly negate: boolean
}

/** Decides a call for which all tests hold. */
export interface Rule {
  readonly tests: readonly Test[]
  readonly action: number
}

export interface AbiFilter {
  readonly abi: Abi
  /** By number as seccomp_data has it. The first rule that fits decides. */
  readonly rules: ReadonlyMap<number, readonly Rule[]>
  /** For a call that no rule decides. */
  readonly otherwise: number
  /** The newest number that the profile can have meant… */
  readonly newest: number
  /** …and the action for those above it. */
  readonly newer: number
}

/** All ABIs that a program may use. */
export interface Filter {
  readonly abis: readonly AbiFilter[]
  /** For calls by any other ABI. */
  readonly foreign: number
}

export const everyBit: Word = { high: 0xffffffff, low: 0xffffffff }

/** A number, or text such as `"0xffffffff00000000"`, as 64 bits; undefined when it is no such number. */
export function word(value: number | string): Word | undefined {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) return undefined
    return { high: Math.floor(value / 2 ** 32), low: value >>> 0 }
  }
  if (!/^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(value)) return undefined
  const number = BigInt(value)
  if (number >= 1n << 64n) return undefined
  return { high: Number(number >> 32n), low: Number(number & 0xffffffffn) }
}

const refusing: readonly number[] = [
  SECCOMP.RET_ERRNO,
  SECCOMP.RET_TRAP,
  SECCOMP.RET_KILL_PROCESS,
  SECCOMP.RET_KILL_THREAD,
]
const refuses = (action: number) => refusing.includes((action & 0xffff0000) >>> 0)

/** Whether each of these calls fails whatever its arguments are: by an errno, or by a signal. */
export function refusesAlways(filter: Filter, calls: readonly string[]): boolean {
  return filter.abis.every(({ abi, rules, otherwise, newer }) =>
    calls.every((name) => {
      const number = abiSyscalls(abi).get(name)
      const found = number === undefined ? [] : (rules.get(number) ?? [])
      return [...found.map(({ action }) => action), otherwise, newer].every(refuses)
    }),
  )
}

/** Whether a program of this ABI can never make this call. */
export function refusesIn(filter: Filter, abi: Abi, name: string): boolean {
  const own = filter.abis.find((one) => one.abi === abi)
  if (own === undefined) return true
  const found = own.rules.get(abiSyscalls(abi).get(name)!) ?? []
  const decided = found.some(({ tests }) => tests.length === 0)
  return [...found.map(({ action }) => action), ...(decided ? [] : [own.otherwise])].every(refuses)
}
