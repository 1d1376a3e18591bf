/** Code that finds what the caller gave: ids, a few variables, the options, and what their --args descriptors hold. */
import { branchUnlessNamed, findEnvironment } from '../assembly/environment.js'
import { hash, hashOf } from '../assembly/text.js'
import { auxv } from '../kernel/auxv.js'
import { errno } from '../kernel/errno.js'
import type { Slot } from '../machine/instruction.js'
import { key } from './format.js'
import type { FrontContext } from './frontContext.js'
import { makeRoom, use } from './key.js'

/** Variables and ids. */
export function readCaller(c: FrontContext): void {
  const { b } = c
  const [at, variable, kind, secure] = [b.temporary(), b.temporary(), b.temporary(), b.temporary()]
  b.load(c.argc, 64, c.stack)
  findEnvironment(c, at, c.argc)
  b.move(c.envp, at)
  b.loop(({ leave, again }) => {
    b.load(variable, 64, at)
    b.compute(at, at, 'add', 8)
    b.when(variable, 'eq', 0, leave)
    // As getenv(3): the first of a name counts.
    for (const [name, slot] of Object.entries(c.variables)) {
      const other = b.label()
      b.branch(slot, 'ne', 0, other)
      branchUnlessNamed(b, variable, name, other)
      b.move(slot, variable)
      again()
      b.place(other)
    }
  })
  const values: readonly (readonly [number, Slot])[] = [
    [auxv.UID, c.ids.uid],
    [auxv.EUID, c.ids.euid],
    [auxv.GID, c.ids.gid],
    [auxv.EGID, c.ids.egid],
    [auxv.SECURE, secure],
  ]
  b.loop(({ leave }) => {
    b.load(kind, 64, at)
    b.when(kind, 'eq', auxv.NULL, leave)
    for (const [wanted, slot] of values) b.when(kind, 'eq', wanted, () => b.load(slot, 64, at, 8))
    b.compute(at, at, 'add', 16)
  })
  // The environment says where the cache is: it must not be another's than that of whose rights we have.
  b.when(secure, 'ne', 0, () => c.die('vial-bwrap may not be setuid, setgid or have file capabilities'))
}

/**
 * Finds COMMAND, and reads what --args names: it can be read but once. Anything that is not plainly right is left for
 * Node.js to complain about.
 */
export function walkOptions(c: FrontContext): void {
  const { b } = c
  const at = c.command
  const [end, word, byte] = [b.temporary(), b.temporary(), b.temporary()]
  b.compute(end, c.argc, 'shl', 3)
  b.compute(end, end, 'add', c.stack)
  b.compute(end, end, 'add', 8)
  b.compute(at, c.stack, 'add', 16)
  b.loop(({ leave, again }) => {
    b.branch(at, 'ge', end, c.complain)
    b.load(word, 64, at)
    b.load(byte, 8, word)
    b.when(byte, 'ne', minus, leave)
    const words = findWords(c, word)
    b.compute(at, at, 'add', 8)
    b.when(words, 'eq', argsOption, () => {
      b.branch(at, 'ge', end, c.complain)
      b.load(word, 64, at)
      readArgs(c, word)
      b.compute(at, at, 'add', 8)
      again()
    })
    b.when(words, 'eq', endOfOptions, leave)
    b.compute(words, words, 'shl', 3)
    b.compute(at, at, 'add', words)
  })
  b.branch(at, 'ge', end, c.complain)
}

const minus = 0x2d
const argsOption = 100
const endOfOptions = 101

/**
 * How many words follow the option, or one of the two above. It is known by its hash alone: Node.js refuses a word that
 * only looks like an option, so that no vial is ever stored for it.
 */
function findWords(c: FrontContext, option: Slot): Slot {
  const { b } = c
  const [given, known, words, row] = b.temporaries(4)
  const rows = Object.entries({ ...c.facts.options, '--args': argsOption, '--': endOfOptions })
  const table = new BigUint64Array(rows.flatMap(([name, count]) => [hashOf(name), BigInt(count)]))
  hash(b, given, option)
  const address = b.bytes(new Uint8Array(table.buffer), 8)
  b.move(row, address)
  b.loop(({ leave }) => {
    b.branch(row, 'ge', { ...address, offset: address.offset + table.byteLength }, c.complain)
    b.load(known, 64, row)
    b.load(words, 64, row, 8)
    b.when(known, 'eq', given, leave)
    b.compute(row, row, 'add', 16)
  })
  return words
}

const chunk = 2 ** 14

/** Reads a descriptor to its end into the key, and closes it, as bwrap does. */
function readArgs(c: FrontContext, word: Slot): void {
  const { b } = c
  const [fd, byte, piece, to, length] = b.temporaries(5)
  // As strtol(3): blanks, which are a tab to a carriage return and the space, and a sign.
  b.loop(({ leave, again }) => {
    b.load(byte, 8, word)
    b.when(byte, 'eq', 0x20, () => {
      b.compute(word, word, 'add', 1)
      again()
    })
    b.when(byte, 'lt', 9, leave)
    b.when(byte, 'gt', 13, leave)
    b.compute(word, word, 'add', 1)
  })
  b.when(byte, 'eq', 0x2b, () => b.compute(word, word, 'add', 1))
  b.move(fd, 0)
  b.loop(({ leave }) => {
    b.load(byte, 8, word)
    b.compute(byte, byte, 'sub', 0x30)
    b.branch(byte, 'gt', 9, c.complain)
    b.compute(fd, fd, 'mul', 10)
    b.compute(fd, fd, 'add', byte)
    b.branch(fd, 'gt', 0x7fffffff, c.complain)
    b.compute(word, word, 'add', 1)
    b.load(byte, 8, word)
    b.when(byte, 'eq', 0, leave)
  })
  b.when(fd, 'gt', c.highestFd, () => b.move(c.highestFd, fd))
  makeRoom(c, { more: key.piece.size })
  // An offset, for the key may move.
  b.move(piece, c.key.used)
  b.compute(to, c.key.address, 'add', piece)
  b.store(64, to, key.piece.fd, fd)
  use(c, key.piece.size)
  b.loop(({ leave, again }) => {
    makeRoom(c, { more: chunk })
    b.compute(to, c.key.address, 'add', c.key.used)
    c.attempt('read', fd, to, chunk)
    b.when(c.result, 'eq', 0, leave)
    b.when(c.result, 'eq', -errno.EINTR, again)
    c.whenFailed(() => {
      // Reading fails for Node.js alike.
      b.move(c.key.used, piece)
      b.jump(c.complain)
    })
    b.compute(c.key.used, c.key.used, 'add', c.result)
  })
  b.compute(to, c.key.address, 'add', piece)
  b.compute(length, c.key.used, 'sub', piece)
  b.compute(length, length, 'sub', key.piece.size)
  b.store(64, to, key.piece.length, length)
  use(c, 0)
  c.attempt('close', fd)
}
