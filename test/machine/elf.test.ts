/** The executable file: what its segments allow, its build id, and what assemble refuses. */
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { type Architecture, architectures } from '../../src/kernel/architecture.js'
import { assemble } from '../../src/machine/assemble.js'
import type { Instruction, Program } from '../../src/machine/instruction.js'
import { binutils, execute, run, runner, withDirectory } from './tools.js'

const slot = { kind: 'slot', index: 0 } as const
const label = { kind: 'label', id: 0 } as const
const text = new TextEncoder().encode('hello')

const program = (...instructions: Instruction[]): Program => ({
  instructions: [{ op: 'entry', to: slot }, ...instructions],
  constants: text,
  slots: 1,
  memory: 100_000,
})

const hello = program(
  {
    op: 'syscall',
    name: 'write',
    args: [1, { kind: 'address', area: 'constants', offset: 0 }, text.length],
    to: slot,
  },
  { op: 'store', width: 64, address: { kind: 'address', area: 'memory', offset: 99_992 }, offset: 0, from: slot },
  { op: 'syscall', name: 'exit_group', args: [slot], to: slot },
)

const readelf = (tool: string, elf: Uint8Array): string =>
  withDirectory((directory) => {
    const file = path.join(directory, 'program')
    fs.writeFileSync(file, elf)
    return run(tool, ['-hlnW', file])
  })

/** Type, offset, address, sizes, flags and alignment of each program header, from the bytes. */
const segments = (elf: Uint8Array) => {
  const view = new DataView(elf.buffer, elf.byteOffset)
  const count = view.getUint16(56, true)
  return Array.from({ length: count }, (_, i) => {
    const at = 64 + 56 * i
    const [offset, address, , size, memory, align] = [0, 1, 2, 3, 4, 5].map((field) =>
      Number(view.getBigUint64(at + 8 + 8 * field, true)),
    )
    const [type, flags] = [view.getUint32(at, true), view.getUint32(at + 4, true)]
    return { type, flags, offset: offset!, address: address!, size: size!, memory: memory!, align: align! }
  })
}

const pages: Record<Architecture, number> = { x64: 4096, arm64: 65536 }

for (const architecture of architectures) {
  const command = runner(architecture)
  const noRunner = command === undefined ? `nothing here runs ${architecture} programs (qemu-user is missing)` : false
  test(`${architecture}: a program runs`, { skip: noRunner }, () => {
    const output = Buffer.from(text).toString('hex')
    assert.deepEqual(execute(assemble(hello, architecture), command!), { status: 5, signal: null, output })
  })

  const tool = binutils(architecture, 'readelf') ?? binutils(process.arch as Architecture, 'readelf')
  test(`${architecture}: readelf`, { skip: tool === undefined ? 'readelf is missing' : false }, () => {
    const out = readelf(tool!, assemble(hello, architecture))
    assert.match(out, architecture === 'x64' ? /Machine:.*X86-64/ : /Machine:.*AArch64/)
    assert.match(out, /Type:\s+EXEC/)
    assert.match(out, /GNU_STACK .* RW +0x10\n/)
    assert.match(out, /Build ID: [0-9a-f]{40}\n/)
    const flags = [...out.matchAll(/^ +LOAD(?: +0x[0-9a-f]+){5} (...) 0x/gm)].map((match) => match[1])
    assert.deepEqual(flags, ['R E', 'RW '])
    assert.doesNotMatch(out, /RWE|[Ww]arning|[Ee]rror/)
  })

  test(`${architecture}: segments do not overlap, are loadable with any page size, and waste nothing`, () => {
    const elf = assemble(hello, architecture)
    const loads = segments(elf).filter(({ type }) => type === 1)
    let end = 0
    for (const { offset, address, memory, align } of loads) {
      assert.equal(align, pages[architecture])
      assert.equal(offset % align, address % align)
      assert.ok(Math.floor(address / align) * align >= end, 'a page belongs to two segments')
      end = address + memory
    }
    assert.ok(elf.length < 600, `${elf.length} bytes`)
    const writable = loads[1]!
    assert.deepEqual([writable.size, writable.address % pages[architecture]], [0, 0])
    assert.equal(writable.memory, 256 + 16 + 100_000)
  })

  test(`${architecture}: the same program gives the same bytes, another one another build id`, () => {
    const elf = assemble(hello, architecture)
    assert.deepEqual(elf, assemble(structuredClone(hello), architecture))
    const other = assemble({ ...hello, constants: new TextEncoder().encode('hallo') }, architecture)
    const note = segments(elf).find(({ type }) => type === 4)!
    assert.notDeepEqual(
      elf.subarray(note.offset, note.offset + note.size),
      other.subarray(note.offset, note.offset + note.size),
    )
  })

  const refused: readonly (readonly [string, Program, RegExp])[] = [
    ['a label placed twice', program({ op: 'label', label }, { op: 'label', label }), /label 0 is placed twice/],
    ['a label never placed', program({ op: 'jump', target: label }), /label 0 is never placed/],
    [
      'seven arguments',
      program({ op: 'syscall', name: 'write', args: [1, 2, 3, 4, 5, 6, 7], to: slot }),
      /write has 7 arguments/,
    ],
    [
      'a slot beyond the last',
      program({ op: 'move', to: { kind: 'slot', index: 1 }, from: 0 }),
      /slot 1 is out of range/,
    ],
    ['too many slots', { ...hello, slots: 4097 }, /4097 slots/],
    [
      'an address beyond its area',
      program({ op: 'move', to: slot, from: { kind: 'address', area: 'constants', offset: 6 } }),
      /offset 6 is out of range: constants has 5 bytes/,
    ],
    ['too much memory', { ...hello, memory: 2 ** 31 }, /2 GiB/],
    ['no entry', { ...hello, instructions: hello.instructions.slice(1) }, /not 'entry'/],
  ]
  for (const [name, one, message] of refused) {
    test(`${architecture}: refuses ${name}`, () => {
      assert.throws(() => assemble(one, architecture), message)
    })
  }
}
