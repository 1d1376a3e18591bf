/** Code that writes the key, and the name that follows from it. */
import { copyMemory } from '../assembly/memory.js'
import { routine } from '../assembly/routine.js'
import type { Operand, Slot } from '../machine/instruction.js'
import { key, lanes } from './format.js'
import type { FrontContext } from './frontContext.js'

const usualRoom = 2 ** 15

export function beginKey(c: FrontContext): void {
  const { b } = c
  const buffer = b.reserve(usualRoom, 16)
  b.move(c.key.address, buffer)
  b.move(c.key.room, usualRoom)
  b.move(c.key.used, key.header.size)
}

/** Makes room for `more` bytes behind those used. */
export const makeRoom = routine('makeRoom', { takes: ['more'] }, (c: FrontContext, { more }) => {
  const { b } = c
  const { address, room, used } = c.key
  const grown = b.temporary()
  b.compute(more, more, 'add', used)
  b.when(more, 'gt', room, () => {
    b.compute(more, more, 'shl', 1)
    c.allocate(grown, more)
    copyMemory(c, { to: grown, from: address, length: used })
    b.move(address, grown)
    b.move(room, more)
  })
})

/** Counts `length` bytes that were written behind those used, and the padding, which is zero. */
export function use(c: FrontContext, length: Operand): void {
  const { b } = c
  b.compute(c.key.used, c.key.used, 'add', length)
  b.compute(c.key.used, c.key.used, 'add', 7)
  b.compute(c.key.used, c.key.used, 'and', -8)
}

/**
 * The words of the options, the header and the end. The words lie one behind the other, as create_elf_tables() in the
 * kernel's fs/binfmt_elf.c leaves them.
 */
export function endKey(c: FrontContext): void {
  const { b } = c
  const { address, used } = c.key
  const { header } = key
  const [from, length, to] = [b.temporary(), b.temporary(), b.temporary()]
  b.load(from, 64, c.stack, 16)
  b.load(length, 64, c.command)
  b.compute(length, length, 'sub', from)
  b.compute(to, length, 'add', 8 + key.total)
  makeRoom(c, { more: to })
  b.store(64, address, header.words, used)
  b.store(64, address, header.wordsLength, length)
  b.compute(to, address, 'add', used)
  copyMemory(c, { to: to, from: from, length: length })
  use(c, length)
  copyMemory(c, { to: address, from: b.bytes(new TextEncoder().encode(key.magic)), length: 8 })
  b.compute(to, address, 'add', header.build)
  copyMemory(c, { to: to, from: b.bytes(c.facts.build), length: key.buildSize })
  Object.values(c.ids).forEach((id, index) => {
    b.store(32, address, header.ids + 4 * index, id)
  })
  b.compute(to, address, 'add', used)
  b.compute(used, used, 'add', key.total)
  b.store(64, to, 0, used)
}

/** Writes what `nameOf` of format.ts gives. */
export function nameKey(c: FrontContext): void {
  const { b } = c
  const [low, high, word, at, end] = b.temporaries(5)
  b.move(low, 0)
  b.move(high, 0)
  b.move(at, c.key.address)
  b.compute(end, at, 'add', c.key.used)
  b.loop(({ leave }) => {
    b.when(at, 'ge', end, leave)
    b.load(word, 32, at)
    ;[low, high].forEach((hash, lane) => {
      b.compute(hash, hash, 'xor', word)
      b.compute(hash, hash, 'mul', lanes[lane]!.prime)
      b.compute(hash, hash, 'and', 0xffff_ffff)
      b.compute(word, hash, 'shr', lanes[lane]!.shift)
      b.compute(hash, hash, 'xor', word)
      b.move(word, hash)
    })
    b.compute(at, at, 'add', 4)
  })
  b.compute(high, high, 'shl', 32)
  b.compute(high, high, 'or', low)
  writeHexadecimal(c, high)
}

function writeHexadecimal(c: FrontContext, value: Slot): void {
  const { b } = c
  const [shift, digit, to] = [b.temporary(), b.temporary(), b.temporary()]
  const digits = b.text('0123456789abcdef')
  b.move(to, c.key.name)
  b.move(shift, 64)
  b.loop(({ leave }) => {
    b.when(shift, 'eq', 0, leave)
    b.compute(shift, shift, 'sub', 4)
    b.compute(digit, value, 'shr', shift)
    b.compute(digit, digit, 'and', 15)
    b.compute(digit, digit, 'add', digits)
    b.load(digit, 8, digit)
    b.store(8, to, 0, digit)
    b.compute(to, to, 'add', 1)
  })
  b.store(8, to, 0, 0)
}
