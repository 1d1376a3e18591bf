/** Calls to ask a filter about: every number that means something, those around, and arguments at the edges. */
import { type Abi, abiFacts, abisOf } from '../../src/kernel/abis.js'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import type { Call } from './interpreter.js'

/** Deterministic: the same seed gives the same numbers. Mulberry32. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export const allAbis: readonly Abi[] = architectures.flatMap((architecture) => abisOf[architecture])

/** Every number up to well above the newest, in each of the numberings, and odd ones. */
export const numbers: readonly number[] = [
  ...Array.from({ length: 600 }, (_, index) => index),
  ...Array.from({ length: 600 }, (_, index) => 0x40000000 + index),
  ...Array.from({ length: 9 }, (_, index) => 0xf0000 + index),
  ...[1023, 1024, 4096, 0x3fffffff, 0x40001000, 0x7fffffff, 0x80000000, 0x80000027, 0xc0000000, 0xfffffffe, 0xffffffff],
]

/** AUDIT_ARCH_… of the machine's own ABIs, of the other machine's, of big-endian MIPS, and nonsense. */
export const archs = [...new Set(allAbis.map((abi) => abiFacts[abi].audit)), 8, 0, 0xffffffff]

/** Numbers near those that matter, in the low half, the high half, and both. */
export function corners(values: readonly bigint[]): bigint[] {
  const near = values.flatMap((value) => [
    value - 1n,
    value,
    value + 1n,
    value | (1n << 32n),
    value | (0xffffffffn << 32n),
    value << 32n,
    ~value,
  ])
  return [
    ...new Set([...near, 0n, 1n, 0xffffffffn, 0x100000000n, 0xffffffffffffffffn].map((one) => BigInt.asUintN(64, one))),
  ]
}

export function callsOf(
  number: number,
  arch: number,
  values: readonly bigint[],
  count: number,
  next: (below: number) => number,
): Call[] {
  return Array.from({ length: count }, () => ({
    number,
    arch,
    args: Array.from({ length: 6 }, () => values[next(values.length)]!),
  }))
}

export const ownAudits = (architecture: Architecture) => [
  ...new Set(abisOf[architecture].map((abi) => abiFacts[abi].audit)),
]
