/**
 * Code that has Node.js compile the arguments. It runs beside us, gets the key and gives the vial back in a file in
 * memory, and so pid, parent, descriptors and signals of what is then executed are what the caller made them.
 *
 * Node.js gets of the environment only what says where the cache is: NODE_OPTIONS, LD_PRELOAD and the like are meant for the
 * payload. It gets the caller's descriptors, and what was read of --args again, under the same numbers.
 */
import { writeAllBy } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { decimal } from '../assembly/text.js'
import { errno } from '../kernel/errno.js'
import { F, MFD, PR, SIG, WAIT } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import type { Slot } from '../machine/instruction.js'
import { findScript } from './findScript.js'
import { key, none } from './format.js'
import type { FrontContext } from './frontContext.js'

/** Has the vial compiled: gives its descriptor and its size, and COMMAND's place as Node.js found it. */
export function compileVial(c: FrontContext): { file: Slot; size: Slot } {
  const { b } = c
  const [memory, child, count, least] = [b.temporary(), b.temporary(), b.temporary(), b.temporary()]
  const [ignored, caller] = [b.bytes(sigaction(SIG.IGN), 8), b.reserve(structs.sigaction.size)]
  const status = b.reserve(8)
  createMemory(c, memory, 'vial', MFD.CLOEXEC)
  // Node.js takes 0, 1 and 2 for what they are, and --args descriptors are made again.
  b.compute(least, c.highestFd, 'add', 1)
  b.when(least, 'lt', 3, () => b.move(least, 3))
  b.move(count, c.attempt('fcntl', memory, F.DUPFD_CLOEXEC, least))
  c.whenFailed(() => c.die('Too many open files'))
  c.attempt('close', memory)
  b.move(memory, count)
  writeAll(c, { to: memory, from: c.key.address, left: c.key.used })

  // A caller that ignores SIGCHLD would have Node.js reaped unseen.
  c.attempt('rt_sigaction', signals.SIGCHLD, b.bytes(sigaction(SIG.DFL), 8), caller, 8)
  b.move(child, c.attempt('clone', signals.SIGCHLD, 0, 0, 0, 0))
  c.whenFailed(() => c.die('Cannot fork Node.js, which compiles these arguments'))
  b.when(child, 'eq', 0, () => {
    c.attempt('prctl', PR.SET_PDEATHSIG, signals.SIGKILL, 0, 0, 0)
    c.attempt('fcntl', memory, F.SETFD, 0)
    const digits = b.reserve(24)
    const cursor = b.temporary()
    b.move(cursor, digits)
    decimal(b, cursor, memory)
    executeNode(c, { fd: digits })
  })
  const ended = b.temporary()
  b.loop(({ leave }) => {
    c.attempt('wait4', child, status, WAIT.ALL, 0)
    b.when(c.result, 'ne', -errno.EINTR, leave)
  })
  b.load(ended, 32, status)
  b.when(ended, 'ne', 0, () => {
    b.compute(count, ended, 'and', 0x7f)
    b.when(count, 'ne', 0, () => c.die('Node.js, which compiles these arguments, was killed'))
    b.compute(ended, ended, 'shr', 8)
    c.exit(ended)
  })
  // Help that an --args descriptor asked for: there is nothing to run.
  c.attempt('lseek', memory, 0, seekEnd)
  b.when(c.result, 'eq', 0, () => c.exit(0))
  const size = b.temporary()
  b.move(size, c.result)
  // A signal of this child that was blocked must not be found by the vial: ignoring it discards it, sigaction(2).
  c.attempt('rt_sigaction', signals.SIGCHLD, ignored, 0, 8)
  c.attempt('rt_sigaction', signals.SIGCHLD, caller, 0, 8)
  return { file: memory, size }
}

/** SEEK_END, `linux/fs.h`; lseek(2). */
const seekEnd = 2

/** Becomes Node.js, which says what is wrong with the arguments. */
export function complain(c: FrontContext): void {
  executeNode(c, { fd: c.b.text(none) })
}

/** Nothing there is executed, which the sysctl vm.memfd_noexec wants to be said; kernels before 6.3 refuse the flag. */
function createMemory(c: FrontContext, memory: Slot, name: string, more = 0): void {
  const { b } = c
  const made = b.label()
  for (const flags of [MFD.NOEXEC_SEAL, 0]) {
    b.move(memory, c.attempt('memfd_create', b.text(name), flags | more))
    c.unlessFailed(made)
  }
  c.die('Cannot make a file in memory')
  b.place(made)
}

const executeNode = routine('executeNode', { takes: ['fd'] }, (c: FrontContext, { fd }) => {
  const { b, facts } = c
  restoreArgs(c)
  const [size, argv, at, left, from, word] = b.temporaries(6)
  const called = b.temporary()
  b.load(called, 64, c.stack, 8)
  // A caller may give no name at all: execve(2).
  b.when(called, 'eq', 0, () => b.move(called, b.text('bwrap')))
  const env = b.bytes(encode('/usr/bin/env'))
  const words = [b.text(facts.node), findScript(c), fd, called]
  b.compute(size, c.argc, 'shl', 3)
  b.compute(size, size, 'add', 8 * (words.length + 3))
  c.allocate(argv, size)
  b.store(64, argv, 0, env)
  words.forEach((operand, index) => {
    b.store(64, argv, 8 * (index + 1), operand)
  })
  b.compute(at, argv, 'add', 8 * (words.length + 1))
  b.compute(from, c.stack, 'add', 16)
  b.move(left, c.argc)
  b.loop(({ leave }) => {
    b.when(left, 'le', 1, leave)
    b.load(word, 64, from)
    b.store(64, at, 0, word)
    b.compute(at, at, 'add', 8)
    b.compute(from, from, 'add', 8)
    b.compute(left, left, 'sub', 1)
  })
  const environment = b.reserve(8 * (Object.keys(c.variables).length + 1))
  b.move(at, environment)
  for (const variable of Object.values(c.variables)) {
    b.when(variable, 'ne', 0, () => {
      b.store(64, at, 0, variable)
      b.compute(at, at, 'add', 8)
    })
  }
  b.compute(from, argv, 'add', 8)
  c.attempt('execve', b.text(facts.node), from, environment)
  b.when(c.result, 'eq', -errno.E2BIG, () => c.die('Argument list too long'))
  b.store(64, argv, 8, b.text('node'))
  c.attempt('execve', env, argv, environment)
  c.die('Cannot start Node.js, which compiles these arguments')
})

/** What was read of each --args descriptor is there again, in a file in memory. */
function restoreArgs(c: FrontContext): void {
  const { b } = c
  const [at, end, fd, memory, length, bytes] = b.temporaries(6)
  b.move(end, c.key.used)
  b.load(at, 64, c.key.address, key.header.words)
  b.when(at, 'ne', 0, () => b.move(end, at))
  b.compute(end, end, 'add', c.key.address)
  b.compute(at, c.key.address, 'add', key.header.size)
  b.loop(({ leave }) => {
    b.when(at, 'ge', end, leave)
    b.load(fd, 64, at, key.piece.fd)
    b.load(length, 64, at, key.piece.length)
    createMemory(c, memory, 'args')
    b.compute(bytes, at, 'add', key.piece.size)
    writeAll(c, { to: memory, from: bytes, left: length })
    c.attempt('lseek', memory, 0, 0)
    b.when(memory, 'ne', fd, () => {
      c.attempt('dup3', memory, fd, 0)
      c.attempt('close', memory)
    })
    b.compute(at, bytes, 'add', length)
    b.compute(at, at, 'add', 7)
    b.compute(at, at, 'and', -8)
    // The key begins at a multiple of 8.
  })
}

const writeAll = routine('writeAll', { takes: ['to', 'from', 'left'] }, (c: FrontContext, { to, from, left }) => {
  writeAllBy(c, { from, left }, (again) => {
    c.attempt('write', to, from, left)
    c.whenError('EINTR', again)
    c.whenFailed(() => c.die('Cannot write to a file in memory'))
  })
})

function sigaction(handler: number): Uint8Array {
  const bytes = new Uint8Array(structs.sigaction.size)
  bytes[structs.sigaction.fields.sa_handler.offset] = handler
  return bytes
}

const encode = (text: string) => new TextEncoder().encode(`${text}\0`)
