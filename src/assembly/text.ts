/** Strings and numbers as text. */
import type { Builder } from '../machine/builder.js'
import type { Address, Label, Operand, Slot } from '../machine/instruction.js'
import { routine } from './routine.js'
import { variable } from './variables.js'

/** Where the routines here write. Another slot is moved here and back. */
export const cursorOf = variable()

/** Copies the NUL-terminated string at `from` to the address in `cursor`, and leaves `cursor` at the copied NUL. */
export function copyText(b: Builder, cursor: Slot, from: Operand): void {
  throughCursor(b, cursor, () => copy({ b }, { from }))
}

/** Writes `value` as unsigned decimal digits and a NUL at `cursor`, and leaves `cursor` at the NUL. */
export function decimal(b: Builder, cursor: Slot, value: Operand): void {
  throughCursor(b, cursor, () => writeDecimal({ b }, { rest: value }))
}

/** Goes to `differ` unless the NUL-terminated strings at both slots are the same; then both slots are left at the NUL. */
export function requireSameText(b: Builder, left: Slot, right: Slot, differ: Label): void {
  const [one, other] = b.temporaries(2)
  b.loop(({ leave }) => {
    b.load(one, 8, left)
    b.load(other, 8, right)
    b.branch(one, 'ne', other, differ)
    b.when(one, 'eq', 0, leave)
    b.compute(left, left, 'add', 1)
    b.compute(right, right, 'add', 1)
  })
}

/** FNV-1a, 64 bit, of the NUL-terminated string at `text`. http://www.isthe.com/chongo/tech/comp/fnv/ */
export function hash(b: Builder, to: Slot, text: Operand): void {
  const [source, byte] = b.temporaries(2)
  b.move(source, text)
  b.move(to, basis)
  b.loop(({ leave }) => {
    b.load(byte, 8, source)
    b.when(byte, 'eq', 0, leave)
    b.compute(to, to, 'xor', byte)
    b.compute(to, to, 'mul', prime)
    b.compute(source, source, 'add', 1)
  })
}

const [basis, prime] = [0xcbf29ce484222325n, 0x100000001b3n]

/** What {@link hash} gives, of a text that is known now. */
export function hashOf(text: string): bigint {
  let value = basis
  for (const byte of Buffer.from(text)) value = BigInt.asUintN(64, (value ^ BigInt(byte)) * prime)
  return value
}

/** `/proc/self/fd/N` of a descriptor that is known at run time only. */
export function descriptorPath({ b }: { readonly b: Builder }, fd: Operand): Address {
  const path = b.reserve(40)
  const cursor = cursorOf(b)
  b.move(cursor, path)
  copyText(b, cursor, b.text('/proc/self/fd/'))
  decimal(b, cursor, fd)
  return path
}

function throughCursor(b: Builder, cursor: Slot, then: () => void): void {
  const target = cursorOf(b)
  if (cursor !== target) b.move(target, cursor)
  then()
  if (cursor !== target) b.move(cursor, target)
}

const copy = routine('copyText', { takes: ['from'] }, ({ b }, { from }) => {
  const target = cursorOf(b)
  const byte = b.temporary()
  b.loop(({ leave }) => {
    b.load(byte, 8, from)
    b.store(8, target, 0, byte)
    b.when(byte, 'eq', 0, leave)
    b.compute(from, from, 'add', 1)
    b.compute(target, target, 'add', 1)
  })
})

const writeDecimal = routine('decimal', { takes: ['rest'] }, ({ b }, { rest }) => {
  const target = cursorOf(b)
  const [digit, power, started] = b.temporaries(3)
  b.move(started, 0)
  b.move(power, 10n ** 19n)
  b.loop(({ leave }) => {
    b.move(digit, 0)
    b.loop(({ leave }) => {
      b.when(rest, 'lt', power, leave)
      b.compute(rest, rest, 'sub', power)
      b.compute(digit, digit, 'add', 1)
    })
    b.compute(started, started, 'or', digit)
    b.when(power, 'eq', 1, () => b.move(started, 1))
    b.when(started, 'ne', 0, () => {
      b.compute(digit, digit, 'add', 48)
      b.store(8, target, 0, digit)
      b.compute(target, target, 'add', 1)
    })
    b.when(power, 'eq', 1, leave)
    // A tenth: half of it, and times the inverse of 5 modulo 2^64, which divides exactly what is a multiple of 5.
    b.compute(power, power, 'shr', 1)
    b.compute(power, power, 'mul', 0xcccccccccccccccdn)
  })
  b.store(8, target, 0, 0)
})
