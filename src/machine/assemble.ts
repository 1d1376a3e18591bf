/** Program → executable. */
import type { Architecture } from '../kernel/architecture.js'
import { encode as encodeArm64 } from './arm64.js'
import type { Layout } from './code.js'
import { codeAddress, constantsAddress, writableAddress, writeElf } from './elf.js'
import { type Address, eachOperand, type Operand, type Program, type Slot } from './instruction.js'
import { encode as encodeX64 } from './x64.js'

const encoders = { x64: encodeX64, arm64: encodeArm64 }

/** No instruction takes more bytes than this: the longest is a system call of six 64-bit constants on arm64. */
const longestInstruction = 128
/** What one load or store of arm64 reaches. */
const slotLimit = 4096
const syscallArguments = 6
/** Calls nest a few levels deep: 16 bytes each at most. */
const stackSize = 256

/** The same program and architecture give the same bytes. */
export const assemble = (program: Program, architecture: Architecture): Uint8Array => {
  check(program)
  const layout = plan(program, architecture)
  const code = encoders[architecture](program, layout)
  const start = layout.slots - stackSize
  const writable = { address: start, size: layout.memory + program.memory - start }
  return writeElf({ architecture, constants: link(program, layout), code, writable })
}

/** The constants with their pointers filled in. */
export const link = ({ constants, pointers = [] }: Program, layout: Layout): Uint8Array => {
  const linked = constants.slice()
  const view = new DataView(linked.buffer)
  for (const { at, to } of pointers) view.setUint32(at, layout[to.area] + to.offset, true)
  return linked
}

/**
 * A stack, slots, then memory, far enough behind the code that its size need not be known yet. The stack is not the
 * kernel's so that it shares a page with the slots: every page that is written costs each process a page fault.
 */
export const plan = (program: Program, architecture: Architecture): Layout => {
  const codeLimit = program.instructions.length * longestInstruction
  const slots = writableAddress(architecture, program.constants.length, codeLimit) + stackSize
  const memory = slots + Math.ceil((program.slots * 8) / 16) * 16
  return { slots, memory, constants: constantsAddress, code: codeAddress(program.constants.length) }
}

const check = (program: Program): void => {
  if (program.slots > slotLimit) throw new Error(`the program has ${program.slots} slots: the limit is ${slotLimit}`)
  const sizes = { constants: program.constants.length, memory: program.memory }
  const [first] = program.instructions
  if (first?.op !== 'entry') throw new Error("the program's first instruction is not 'entry'")
  for (const { to } of program.pointers ?? []) checkAddress(to, sizes)
  const checkOperand = (operand: Operand) => {
    if (typeof operand !== 'object') return
    if (operand.kind === 'slot') checkSlot(operand, program)
    else checkAddress(operand, sizes)
  }
  for (const instruction of program.instructions) {
    if (instruction.op === 'syscall' && instruction.args.length > syscallArguments) {
      throw new Error(`${instruction.name} has ${instruction.args.length} arguments: the limit is ${syscallArguments}`)
    }
    eachOperand(instruction, checkOperand)
  }
}

const checkSlot = ({ index }: Slot, { slots }: Program): void => {
  if (Number.isInteger(index) && index >= 0 && index < slots) return
  throw new Error(`slot ${index} is out of range: the program has ${slots}`)
}

const checkAddress = ({ area, offset }: Address, sizes: Record<Address['area'], number>): void => {
  if (Number.isInteger(offset) && offset >= 0 && offset <= sizes[area]) return
  throw new Error(`offset ${offset} is out of range: ${area} has ${sizes[area]} bytes`)
}
