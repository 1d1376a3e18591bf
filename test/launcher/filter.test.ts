/** Packed filters: what a vial loads is what was packed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BPF } from '../../src/kernel/flags.js'
import { packFilter, unpackFilter } from '../../src/launcher/packedFilter.js'
import { Builder } from '../../src/machine/builder.js'
import { compileSeccomp } from '../../src/seccomp/compileProfile.js'
import { interpret } from '../machine/interpreter.js'

const operations = [0x20, 0x54, 0x06, 0x05, 0x15, 0x25, 0x35]
const encode = (instructions: readonly (readonly [number, number, number, number])[]) => {
  const bytes = Buffer.alloc(8 * instructions.length)
  instructions.forEach(([operation, yes, no, value], index) => {
    bytes.writeUInt16LE(operation, 8 * index)
    bytes.writeUInt8(yes, 8 * index + 2)
    bytes.writeUInt8(no, 8 * index + 3)
    bytes.writeUInt32LE(value, 8 * index + 4)
  })
  return new Uint8Array(bytes)
}

/** What a program writes that unpacks the filter. */
function unpacked(program: Uint8Array): string {
  const b = new Builder()
  const stack = b.temporary()
  b.entry(stack)
  const address = unpackFilter(b, program)
  b.syscall(stack, 'write', 1, address, program.length)
  b.syscall(stack, 'exit_group', 0)
  return interpret(b.finish()).output
}

test('any filter comes out as it went in', () => {
  const byte = fc.nat({ max: 255 })
  const value = fc.oneof(byte, fc.nat({ max: 0xffff }), fc.nat({ max: 0xffffff }), fc.nat({ max: 0xffffffff }))
  // Only jumps have targets.
  const one = fc.tuple(fc.constantFrom(...operations), byte, byte, value).map(([operation, yes, no, value]) => {
    const jumps = (operation & 7) === BPF.JMP
    return [operation, jumps ? yes : 0, jumps ? no : 0, value] as const
  })
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 40 }), (instructions) => {
      const program = encode(instructions)
      assert.equal(unpacked(program), Buffer.from(program).toString('hex'))
    }),
    { numRuns: 300 },
  )
})

test('the default filter takes little more than half its length', () => {
  const { program } = compileSeccomp('default', { architecture: 'arm64', kernel: '6.18.0' })!
  assert.equal(unpacked(program), Buffer.from(program).toString('hex'))
  const { length } = packFilter(program)
  assert.ok(length < 0.55 * program.length, `${length} of ${program.length}`)
})

test('an operation that filters of ours do not have is refused', () => {
  assert.throws(() => packFilter(encode([[0x61, 0, 0, 0]])), /not packed/)
})
