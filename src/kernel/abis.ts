/**
 * ABIs: the ways into a kernel, each with its own system call numbers. A 64-bit kernel also serves the programs of its
 * 32-bit predecessor, and x86 a third kind, x32, which differs from x64 by a bit in the number.
 */
import type { Architecture } from './architecture.js'
import { auditArchitecture } from './flags.js'
import { type SyscallName, syscallNumbers, type X64OnlySyscallName, x64OnlySyscalls } from './syscalls.js'
import { notOnArm32, notOnX32, syscalls32, x32Bit, x32Own } from './syscalls32.js'

/** The ABIs of each architecture, its own first. */
export const abisOf = { x64: ['x64', 'x32', 'i386'], arm64: ['arm64', 'arm32'] } as const satisfies Record<
  Architecture,
  readonly string[]
>
export type Abi = (typeof abisOf)[Architecture][number]

/** A system call of any ABI. */
export type AnySyscallName = SyscallName | X64OnlySyscallName | keyof typeof syscalls32

interface AbiFacts {
  /** How seccomp_data names it, `linux/audit.h`: AUDIT_ARCH_X86_64, _I386, _AARCH64, _ARM. */
  readonly audit: number
  /** Whether arguments have 64 bits. */
  readonly wide: boolean
  /** Added to every number. */
  readonly base: number
}

export const abiFacts: Readonly<Record<Abi, AbiFacts>> = {
  x64: { audit: auditArchitecture.x64, wide: true, base: 0 },
  x32: { audit: auditArchitecture.x64, wide: false, base: x32Bit },
  i386: { audit: 0x40000003, wide: false, base: 0 },
  arm64: { audit: auditArchitecture.arm64, wide: true, base: 0 },
  arm32: { audit: 0x40000028, wide: false, base: 0 },
}

/** From here on a call has the same number everywhere. */
const firstShared = 424

const builders: Record<Abi, () => [string, number][]> = {
  x64: () => [...Object.entries(syscallNumbers.x64), ...Object.entries(x64OnlySyscalls)],
  x32: () =>
    builders
      .x64()
      .filter(([name]) => !notOnX32.includes(name))
      .map(([name, number]) => [name, x32Bit + ((x32Own as Record<string, number>)[name] ?? number)]),
  i386: () => [...column(0), ...shared()],
  arm64: () => Object.entries(syscallNumbers.arm64),
  arm32: () => [...column(1), ...shared().filter(([name]) => !notOnArm32.includes(name))],
}

const column = (index: 0 | 1) =>
  Object.entries(syscalls32).flatMap(([name, row]): [string, number][] =>
    row[index] === undefined ? [] : [[name, row[index]]],
  )
const shared = () => Object.entries(syscallNumbers.x64).filter(([, number]) => number >= firstShared)

const built = new Map<Abi, ReadonlyMap<string, number>>()

/** The system calls of an ABI by name, as the number that a filter sees. */
export function abiSyscalls(abi: Abi): ReadonlyMap<string, number> {
  let numbers = built.get(abi)
  if (numbers === undefined) {
    numbers = new Map(builders[abi]())
    built.set(abi, numbers)
  }
  return numbers
}

/** arm's private calls, whose numbers stand far from all others: `asm/unistd.h`, __ARM_NR_BASE. */
export const arm32Private = 0xf0000
