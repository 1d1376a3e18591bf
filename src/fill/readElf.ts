import * as fs from './look.js'
import { openRegular } from './regular.js'

/** What the dynamic loader reads of an ELF file. */
export interface Elf {
  class: 32 | 64
  littleEndian: boolean
  /** `e_machine`: 62 is x86-64, 183 AArch64, 3 i386. */
  machine: number
  /** `e_type`: 2 is an executable, 3 a shared object or a position-independent executable. */
  type: number
  /** The path in PT_INTERP. */
  interpreter?: string
  soname?: string
  needed: string[]
  rpath?: string
  runpath?: string
  /** DF_1_NODEFLIB: neither the cache nor the default directories are searched. */
  noDefaultLibraries: boolean
}

const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3

const DT_NULL = 0
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_STRSZ = 10
const DT_SONAME = 14
const DT_RPATH = 15
const DT_RUNPATH = 29
const DT_FLAGS_1 = 0x6ffffffb
const DF_1_NODEFLIB = 0x800

const STRING_LIMIT = 4096
const DYNAMIC_LIMIT = 1 << 20

/** Where the fields stand: elf(5), Elf32_Ehdr and Elf64_Ehdr, Elf32_Phdr and Elf64_Phdr. */
const LAYOUT = {
  32: {
    header: 52,
    phoff: 28,
    phentsize: 42,
    phnum: 44,
    segment: { size: 32, offset: 4, address: 8, length: 16 },
    word: 4,
  },
  64: {
    header: 64,
    phoff: 32,
    phentsize: 54,
    phnum: 56,
    segment: { size: 56, offset: 8, address: 16, length: 32 },
    word: 8,
  },
} as const

/**
 * Reads the parts of an ELF file that ld.so(8) needs to load it, as elf(5) describes them: the interpreter and the dynamic
 * section's names. Only those parts of the file are read.
 *
 * @returns undefined when the file cannot be opened, is no regular file or is not ELF
 * @throws Error when it is ELF but damaged; the message names the file and the damage
 */
export function readElf(file: string): Elf | undefined {
  const opened = openRegular(file)
  if (opened === undefined) return undefined
  try {
    return parse(file, opened.fd, opened.size)
  } finally {
    fs.closeSync(opened.fd)
  }
}

function parse(file: string, fd: number, size: number): Elf | undefined {
  const damaged = (what: string) => new Error(`${file}: damaged ELF file: ${what}`)
  const read = (offset: number, length: number, what: string): DataView => {
    if (offset < 0 || length < 0 || offset + length > size) {
      throw damaged(`${what} (${length} bytes at ${offset}) lies beyond the end of the file (${size} bytes)`)
    }
    const bytes = new Uint8Array(length)
    let done = 0
    while (done < length) {
      const count = fs.readSync(fd, bytes, done, length - done, offset + done)
      if (count === 0) throw damaged(`${what} could not be read`)
      done += count
    }
    return new DataView(bytes.buffer)
  }
  const text = (offset: number, limit: number, what: string): string => {
    const view = read(offset, Math.max(0, Math.min(limit, STRING_LIMIT, size - offset)), what)
    const bytes = new Uint8Array(view.buffer)
    const end = bytes.indexOf(0)
    if (end < 0) throw damaged(`${what} has no end`)
    return Buffer.from(bytes.buffer, 0, end).toString()
  }

  if (size < 4 || read(0, 4, 'magic').getUint32(0) !== 0x7f454c46) return undefined
  const ident = new Uint8Array(read(0, 16, 'identification').buffer)
  if (ident[4] !== 1 && ident[4] !== 2) throw damaged(`unknown class ${ident[4]}`)
  if (ident[5] !== 1 && ident[5] !== 2) throw damaged(`unknown byte order ${ident[5]}`)
  const bits = ident[4] === 1 ? 32 : 64
  const little = ident[5] === 1
  const layout = LAYOUT[bits]
  const word = (view: DataView, offset: number) =>
    bits === 32 ? view.getUint32(offset, little) : Number(view.getBigUint64(offset, little))

  const header = read(0, layout.header, 'header')
  const elf: Elf = {
    class: bits,
    littleEndian: little,
    machine: header.getUint16(18, little),
    type: header.getUint16(16, little),
    needed: [],
    noDefaultLibraries: false,
  }
  const count = header.getUint16(layout.phnum, little)
  if (count === 0) return elf
  const stride = header.getUint16(layout.phentsize, little)
  if (stride !== layout.segment.size) throw damaged(`program headers of ${stride} bytes`)
  const table = read(word(header, layout.phoff), count * stride, 'program header table')

  const loads: { offset: number; address: number; length: number }[] = []
  let dynamic: { offset: number; length: number } | undefined
  for (let index = 0; index < count; index++) {
    const at = index * stride
    const kind = table.getUint32(at, little)
    const segment = {
      offset: word(table, at + layout.segment.offset),
      address: word(table, at + layout.segment.address),
      length: word(table, at + layout.segment.length),
    }
    if (kind === PT_LOAD) loads.push(segment)
    else if (kind === PT_DYNAMIC) dynamic = segment
    else if (kind === PT_INTERP) elf.interpreter = text(segment.offset, segment.length, 'interpreter')
  }
  if (dynamic === undefined || dynamic.length === 0) return elf
  if (dynamic.length > DYNAMIC_LIMIT) throw damaged(`a dynamic section of ${dynamic.length} bytes`)

  const section = read(dynamic.offset, dynamic.length, 'dynamic section')
  const names: { tag: number; value: number }[] = []
  let strings = -1
  let stringsSize = 0
  for (let at = 0; at + 2 * layout.word <= dynamic.length; at += 2 * layout.word) {
    const tag = word(section, at)
    const value = word(section, at + layout.word)
    if (tag === DT_NULL) break
    if (tag === DT_STRTAB) strings = value
    else if (tag === DT_STRSZ) stringsSize = value
    else if (tag === DT_FLAGS_1) elf.noDefaultLibraries = (value & DF_1_NODEFLIB) !== 0
    else if (tag === DT_NEEDED || tag === DT_SONAME || tag === DT_RPATH || tag === DT_RUNPATH)
      names.push({ tag, value })
  }
  if (names.length === 0) return elf
  const load = loads.find((one) => strings >= one.address && strings < one.address + one.length)
  if (load === undefined) throw damaged('the string table is in no segment')
  const base = load.offset + strings - load.address
  for (const { tag, value } of names) {
    if (value >= stringsSize) throw damaged(`a name at ${value} in a string table of ${stringsSize} bytes`)
    const name = text(base + value, stringsSize - value, 'name')
    if (tag === DT_NEEDED) elf.needed.push(name)
    else if (tag === DT_SONAME) elf.soname = name
    else if (tag === DT_RPATH) elf.rpath = name
    else elf.runpath = name
  }
  return elf
}
