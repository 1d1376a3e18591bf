/** What a compiled filter answers: the classic BPF of graph.ts, run as the kernel does. */
import { type AnySyscallName, abiFacts, abiSyscalls } from '../kernel/abis.js'
import { type Architecture, architectures } from '../kernel/architecture.js'
import { BPF, SECCOMP } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'

const { size, fields } = structs.seccomp_data
const instructionSize = structs.sock_filter.size

/**
 * The action, SECCOMP_RET_… with its data, for a call by a machine's own ABI; undefined if it has no such call, or if that depends on an
 * argument that is undefined.
 */
export function answer(
  program: Uint8Array,
  architecture: Architecture,
  name: AnySyscallName,
  args: readonly (number | bigint | undefined)[],
): number | undefined {
  const number = abiSyscalls(architecture).get(name)
  if (number === undefined) return undefined
  const call = new DataView(new ArrayBuffer(size))
  call.setUint32(fields.nr.offset, number, true)
  call.setUint32(fields.arch.offset, abiFacts[architecture].audit, true)
  const unknown = new Set<number>()
  args.forEach((arg, index) => {
    const offset = fields.args.offset + 8 * index
    if (arg === undefined) for (const half of [offset, offset + 4]) unknown.add(half)
    else call.setBigUint64(offset, BigInt.asUintN(64, BigInt(arg)), true)
  })
  return run(new DataView(program.buffer, program.byteOffset, program.length), call, unknown)
}

/** @param unknown what cannot be loaded */
function run(program: DataView, call: DataView, unknown: ReadonlySet<number>): number | undefined {
  let held = 0
  for (let at = 0; ; at += instructionSize) {
    const value = program.getUint32(at + 4, true)
    const jump = (holds: boolean) => {
      at += instructionSize * program.getUint8(at + (holds ? 2 : 3))
    }
    switch (program.getUint16(at, true)) {
      case BPF.LD | BPF.W | BPF.ABS:
        if (unknown.has(value)) return undefined
        held = call.getUint32(value, true)
        break
      case BPF.ALU | BPF.AND | BPF.K:
        held = (held & value) >>> 0
        break
      case BPF.JMP | BPF.JA:
        at += instructionSize * value
        break
      case BPF.JMP | BPF.JEQ | BPF.K:
        jump(held === value)
        break
      case BPF.JMP | BPF.JGT | BPF.K:
        jump(held > value)
        break
      case BPF.JMP | BPF.JGE | BPF.K:
        jump(held >= value)
        break
      case BPF.RET | BPF.K:
        return value
      default:
        throw new Error(`a filter has an operation that is not known: ${program.getUint16(at, true)}`)
    }
  }
}

/** Whether a program under this filter may make a call, by the own ABI of the architecture that the filter is for. */
export function letsThrough(program: Uint8Array, name: AnySyscallName, args: readonly (number | bigint)[]): boolean {
  return architectures.some((architecture) => {
    const action = answer(program, architecture, name, args)
    return action === SECCOMP.RET_ALLOW || action === SECCOMP.RET_LOG
  })
}
