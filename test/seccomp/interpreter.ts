/** The kernel's side of a filter: what it refuses to load, and what it decides about a call. */
import { structs } from '../../src/kernel/structs.js'

export interface Call {
  /** u32. */
  readonly number: number
  /** AUDIT_ARCH_…, u32. */
  readonly arch: number
  readonly args: readonly bigint[]
}

interface Instruction {
  readonly code: number
  readonly yes: number
  readonly no: number
  readonly value: number
}

const longest = 4096
/** The ones of BPF that seccomp has and the compiler uses: ld abs, and, ja, jeq, jgt, jge, jset, ret; with a constant. */
const operations = {
  load: 0x20,
  and: 0x54,
  always: 0x05,
  equal: 0x15,
  greater: 0x25,
  atLeast: 0x35,
  bits: 0x45,
  end: 0x06,
}
const known = new Set(Object.values(operations))

/**
 * Reads a program and checks it as the kernel does: bpf_check_classic() in net/core/filter.c, seccomp_check_filter() in
 * kernel/seccomp.c. There is no instruction that jumps back.
 */
export function readProgram(bytes: Uint8Array): readonly Instruction[] {
  const refuse = (why: string) => {
    throw new Error(`the kernel would not take it: ${why}`)
  }
  if (bytes.length % 8 !== 0 || bytes.length === 0 || bytes.length > 8 * longest) refuse(`${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const program = Array.from({ length: bytes.length / 8 }, (_, index) => ({
    code: view.getUint16(8 * index, true),
    yes: view.getUint8(8 * index + 2),
    no: view.getUint8(8 * index + 3),
    value: view.getUint32(8 * index + 4, true),
  }))
  program.forEach(({ code, yes, no, value }, index) => {
    const left = program.length - index - 1
    if (!known.has(code)) refuse(`${index}: operation ${code}`)
    if (code === operations.load && (value % 4 !== 0 || value >= structs.seccomp_data.size))
      refuse(`${index}: load ${value}`)
    if (code === operations.always && value >= left) refuse(`${index}: jump ${value}`)
    const conditional = [operations.equal, operations.greater, operations.atLeast, operations.bits].includes(code)
    if (conditional && (yes >= left || no >= left)) refuse(`${index}: jump ${yes}, ${no}`)
  })
  if (program.at(-1)!.code !== operations.end) refuse('the end is no return')
  return program
}

/** What the program returns. */
export function decide(program: readonly Instruction[], call: Call): number {
  const data = new DataView(new ArrayBuffer(structs.seccomp_data.size))
  data.setUint32(0, call.number, true)
  data.setUint32(4, call.arch, true)
  call.args.forEach((value, index) => {
    data.setBigUint64(16 + 8 * index, value, true)
  })
  let held = 0
  for (let at = 0; ; at++) {
    const { code, yes, no, value } = program[at]!
    const jump = (condition: boolean) => {
      at += condition ? yes : no
    }
    if (code === operations.load) held = data.getUint32(value, true)
    else if (code === operations.and) held = (held & value) >>> 0
    else if (code === operations.always) at += value
    else if (code === operations.equal) jump(held === value)
    else if (code === operations.greater) jump(held > value)
    else if (code === operations.atLeast) jump(held >= value)
    else if (code === operations.bits) jump((held & value) !== 0)
    else return value
  }
}
