/**
 * Writes a static executable: ELF64, little endian, ET_EXEC, no sections. System V gABI, chapters 4 and 5; Linux reads
 * it in fs/binfmt_elf.c.
 *
 *     file    headers, note, constants, code |
 *     memory  R X                            | RW: stack, slots and memory, zeroed, nothing in the file
 *
 * Constants lie with the code: each further segment costs the processes of a vial a mapping to copy and a page fault.
 */
import { createHash } from 'node:crypto'
import type { Architecture } from '../kernel/architecture.js'

export interface Image {
  readonly architecture: Architecture
  readonly constants: Uint8Array
  readonly code: Uint8Array
  /** Address and size of the zeroed writable area. The address is {@link writableAddress}'s. */
  readonly writable: { readonly address: number; readonly size: number }
}

const imageAddress = 0x400000
const headerSize = 64
const programHeaderSize = 56
const programHeaders = 4
const noteOffset = headerSize + programHeaders * programHeaderSize
const noteSize = 36
const buildIdSize = 20
const constantsOffset = alignUp(noteOffset + noteSize, 64)

/** `page` is the largest page size a kernel may use: arm64 has kernels with 64 KiB pages. `machine` is e_machine. */
const targets: Record<Architecture, { machine: number; page: number }> = {
  x64: { machine: 62, page: 4096 },
  arm64: { machine: 183, page: 65536 },
}

/** p_type and p_flags. */
const PT = { LOAD: 1, NOTE: 4, GNU_STACK: 0x6474e551 }
const PF = { X: 1, W: 2, R: 4 }

export const constantsAddress = imageAddress + constantsOffset
export const codeAddress = (constants: number): number => codePlace(constants).address

/** A program header; `size` is p_filesz, `memory` p_memsz where it differs. */
interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset?: number
  readonly address: number
  readonly size: number
  readonly memory?: number
  readonly align: number
}

/** Where the writable area goes behind code of at most `codeLimit` bytes. */
export const writableAddress = (architecture: Architecture, constants: number, codeLimit: number): number =>
  alignUp(codePlace(constants).address + codeLimit, targets[architecture].page)

export const writeElf = ({ architecture, constants, code, writable }: Image): Uint8Array => {
  const { machine, page } = targets[architecture]
  const text = codePlace(constants.length)
  const end = writable.address + writable.size
  if (text.address + code.length > writable.address) throw new Error('the code runs into the writable area')
  if (end >= 2 ** 31) throw new Error(`the program needs addresses up to ${end}: the limit is 2 GiB`)

  const file = new Uint8Array(text.offset + code.length)
  const view = new DataView(file.buffer)
  const u64 = (offset: number, value: number) => view.setBigUint64(offset, BigInt(value), true)

  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]) // magic, ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  view.setUint16(16, 2, true) // e_type: ET_EXEC
  view.setUint16(18, machine, true)
  view.setUint32(20, 1, true) // e_version
  u64(24, text.address) // e_entry
  u64(32, headerSize) // e_phoff
  view.setUint16(52, headerSize, true) // e_ehsize
  view.setUint16(54, programHeaderSize, true) // e_phentsize
  view.setUint16(56, programHeaders, true) // e_phnum
  view.setUint16(58, 64, true) // e_shentsize; there are no sections

  const segments: Segment[] = [
    { type: PT.LOAD, flags: PF.R | PF.X, address: imageAddress, size: file.length, align: page },
    { type: PT.LOAD, flags: PF.R | PF.W, address: writable.address, size: 0, memory: writable.size, align: page },
    { type: PT.NOTE, flags: PF.R, offset: noteOffset, address: imageAddress + noteOffset, size: noteSize, align: 4 },
    { type: PT.GNU_STACK, flags: PF.R | PF.W, address: 0, size: 0, align: 16 },
  ]
  for (const [i, { type, flags, offset = 0, address, size, memory = size, align }] of segments.entries()) {
    const at = headerSize + i * programHeaderSize
    view.setUint32(at, type, true)
    view.setUint32(at + 4, flags, true)
    for (const [j, field] of [offset, address, address, size, memory, align].entries()) u64(at + 8 + 8 * j, field)
  }

  view.setUint32(noteOffset, 4, true) // n_namesz
  view.setUint32(noteOffset + 4, buildIdSize, true) // n_descsz
  view.setUint32(noteOffset + 8, 3, true) // NT_GNU_BUILD_ID
  file.set([0x47, 0x4e, 0x55, 0], noteOffset + 12) // "GNU"
  file.set(constants, constantsOffset)
  file.set(code, text.offset)
  const id = createHash('sha256').update(file).digest().subarray(0, buildIdSize)
  file.set(id, noteOffset + 16)
  return file
}

function codePlace(constants: number): { offset: number; address: number } {
  const offset = alignUp(constantsOffset + constants, 16)
  return { offset, address: imageAddress + offset }
}

function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to
}
