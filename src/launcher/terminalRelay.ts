/**
 * The monitor's side of a payload's terminal: it hands on what the caller types, and what the payload writes. It never waits for one of
 * them alone, so that a signal is heard while a terminal or a pipe takes no more. Who does not read lets the other wait, as any
 * terminal does.
 */
import { noFile } from '../assembly/files.js'
import { routine } from '../assembly/routine.js'
import { own, variable, variables } from '../assembly/variables.js'
import { AT, F, MSG, S_IF, TIOC } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { pack, structs } from '../kernel/structs.js'
import { firstError, type Address, type Operand, type Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { messageOf } from './message.js'
import { fileKind } from './openFiles.js'
import { callersPid } from './pipeCode.js'
import { makeRaw, onTerminal, restoreTerminal } from './rawTerminal.js'
import { hangUp as hangUpSignal, suspend } from './record.js'
import { lookForScreen, noteShown, redoShown, undoShown } from './shownModes.js'
import { allSignals, maskSize } from './signalMask.js'
import { awaitWritable, type Source } from './sources.js'
import { hasTerminal, readSize, terminalChannel } from './terminalCode.js'

/** Descriptors of the monitor, or none. */
const ends = variables('input', 'output', 'hears', 'master', 'terminal')

/** One direction: which of its two ends is waited for, and what was read and is not written yet. */
const inward = variables('reads', 'writes', 'at', 'left')
const outward = variables('reads', 'writes', 'at', 'left')
const bufferSize = 16384

/** Whether a signal has told that the command is to end. */
const asked = variable()
const { SIGHUP, SIGINT, SIGQUIT, SIGTERM } = signals
const asksToEnd = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, hangUpSignal]
const buffers = own(({ b }: LauncherContext) => ({ inward: b.reserve(bufferSize), outward: b.reserve(bufferSize) }))

export const relayCode = {
  takeStreams(c: LauncherContext): void {
    const { input, output } = ends(c.b)
    takeStream(c, 0, input, c.open.RDONLY)
    takeStream(c, 1, output, c.open.WRONLY)
    lookForScreen(c)
  },
}

/**
 * O_NONBLOCK belongs to an open file that others have, too: open(2). So a terminal or a pipe is opened again. What cannot be, such as a
 * socket, or the terminal of another user after su(1), stays as it is; a regular file would be written from its start.
 */
function takeStream(c: LauncherContext, fd: 0 | 1, to: Slot, mode: number): void {
  const { b } = c
  const again = mode | c.open.NONBLOCK | c.open.NOCTTY | c.open.CLOEXEC
  const [same, done] = [b.label(), b.label()]
  const kind = fileKind(c, fd)
  const isStream = b.label()
  b.branch(kind, 'eq', S_IF.IFO, isStream)
  b.branch(kind, 'ne', S_IF.CHR, same)
  b.place(isStream)
  b.move(to, c.attempt('openat', AT.FDCWD, b.text(`/proc/self/fd/${fd}`), again, 0))
  b.branch(to, 'lt', firstError, done)
  b.place(same)
  b.move(to, c.must('fcntl', fd, F.DUPFD_CLOEXEC, 3))
  b.place(done)
}

/** In the monitor, before it waits. */
export function prepareRelay(c: LauncherContext): void {
  if (!hasTerminal(c.plan)) return
  const { b } = c
  const { hears, master, terminal } = ends(b)
  b.load(hears, 32, terminalChannel(c))
  for (const slot of [master, terminal]) b.move(slot, noFile)
  b.move(asked(b), 0)
  for (const { reads, writes, left } of [inward(b), outward(b)]) {
    b.move(reads, noFile)
    b.move(writes, noFile)
    b.move(left, 0)
  }
}

/** What the monitor keeps open. */
export function relayFiles(c: LauncherContext): Operand[] {
  if (!hasTerminal(c.plan)) return []
  const { input, output, hears } = ends(c.b)
  return [input, output, hears]
}

/** Init, and the command, have none of it. */
export function closeRelay(c: LauncherContext): void {
  if (!hasTerminal(c.plan)) return
  const { input, output, hears } = ends(c.b)
  c.b.load(hears, 32, terminalChannel(c))
  for (const fd of [input, output, hears]) c.attempt('close', fd)
}

export function relaySources(c: LauncherContext): Source[] {
  if (!hasTerminal(c.plan)) return []
  const { b } = c
  return [
    { fd: ends(b).hears, act: () => beginRelay(c) },
    { fd: outward(b).reads, act: () => void readOutput(c, {}) },
    { fd: outward(b).writes, writes: true, act: () => writeOutput(c, {}) },
    { fd: inward(b).reads, act: () => readInput(c, {}) },
    { fd: inward(b).writes, writes: true, act: () => writeInput(c, {}) },
  ]
}

/** The payload has its terminal, or has ended without. */
const takeTerminal = routine('takeTerminal', {}, (c: LauncherContext) => {
  const { b } = c
  const { hears, master, terminal } = ends(b)
  const { message, descriptors } = messageOf(c, 2)
  c.attempt('recvmsg', hears, message, MSG.CMSG_CLOEXEC | MSG.DONTWAIT)
  b.when(c.result, 'eq', 1, () => {
    b.load(master, 32, descriptors)
    // It stays open: a command may close all of its own before it opens /dev/tty.
    b.load(terminal, 32, descriptors, 4)
  })
  c.attempt('close', hears)
  b.move(hears, noFile)
})

function beginRelay(c: LauncherContext): void {
  const { b } = c
  const { input, master } = ends(b)
  takeTerminal(c, {})
  b.when(master, 'ne', noFile, () => {
    b.move(outward(b).reads, master)
    b.move(inward(b).reads, input)
    makeRaw(c, { input })
    takeSize(c, {})
  })
}

/** The terminal is as it was before: when the job stops, and at the end. */
export function giveTerminalBack(c: LauncherContext): void {
  const { input, output } = ends(c.b)
  undoShown(c, output)
  restoreTerminal(c, { input })
}

/** Signals of a monitor that relays: those that are about the caller's terminal, or came to the caller's whole job. */
export function takeRelaySignals(c: LauncherContext, signal: Slot, info: Address, again: () => void): void {
  if (!hasTerminal(c.plan)) return
  const { b } = c
  const { input, output, master } = ends(b)
  const { si_pid } = structs.siginfo.fields
  const sender = b.temporary()
  b.when(signal, 'eq', signals.SIGWINCH, () => {
    takeSize(c, {})
    again()
  })
  for (const one of asksToEnd) b.when(signal, 'eq', one, () => b.move(asked(b), 1))
  // Of a write of ours.
  b.when(signal, 'eq', signals.SIGPIPE, again)
  b.when(signal, 'eq', suspend, () => giveTerminalBack(c))
  b.when(onTerminal(c), 'ne', 0, () => {
    b.when(signal, 'eq', signals.SIGCONT, () =>
      b.when(master, 'ne', noFile, () => {
        b.move(inward(b).reads, input)
        makeRaw(c, { input })
        redoShown(c, output)
        takeSize(c, {})
      }),
    )
    // A monitor that reads the terminal is in the caller's job, who hands on what comes to all of it. But two of one signal may be taken as
    // one, signal(7), with the sender of the first: a shell's SIGCONT, and that of the caller which it continues. Twice does no harm.
    b.load(sender, 32, info, si_pid.offset)
    b.when(signal, 'ne', signals.SIGCONT, () => b.when(sender, 'ne', callersPid(c), again))
  })
}

/** The command's terminal is as large as the caller's; the kernel tells the command. */
const takeSize = routine('takeSize', {}, (c: LauncherContext) => {
  const { b } = c
  const { input, master } = ends(b)
  const size = b.reserve(structs.winsize.size)
  readSize(c, input, size)
  c.attempt('ioctl', master, TIOC.SWINSZ, size)
})

/** Writes what is left of one direction; where that waits, nothing more is read of it. */
function writer(
  name: string,
  direction: typeof inward,
  from: 'input' | 'master',
  to: 'master' | 'output',
  fails: (c: LauncherContext) => void,
) {
  return routine(name, {}, (c: LauncherContext) => {
    const { b } = c
    const { reads, writes, at, left } = direction(b)
    const { [from]: source, [to]: target } = ends(b)
    b.loop(({ leave }) => {
      b.move(writes, noFile)
      b.move(reads, source)
      b.when(left, 'eq', 0, leave)
      c.attempt('write', target, at, left)
      c.whenFailed(
        () => {
          c.whenError(
            'EAGAIN',
            () => {
              b.move(reads, noFile)
              b.move(writes, target)
            },
            () => fails(c),
          )
          leave()
        },
        () => {
          b.compute(at, at, 'add', c.result)
          b.compute(left, left, 'sub', c.result)
        },
      )
    })
  })
}

const writeOutput = writer('writeOutput', outward, 'master', 'output', (c) => hangUp(c, {}))
const writeInput = writer('writeInput', inward, 'input', 'master', (c) => c.b.move(inward(c.b).left, 0))

const readOutput = routine('readOutput', { gives: ['got'] }, (c: LauncherContext, { got }) => {
  const { b } = c
  const { at, left } = outward(b)
  b.move(got, c.attempt('read', ends(b).master, buffers(c).outward, bufferSize))
  // EAGAIN: it was read before; or EBADF where it was hung up.
  b.when(got, 'ge', firstError, () => b.move(got, 0))
  b.move(left, got)
  b.move(at, buffers(c).outward)
  noteShown(c, { at, left })
  writeOutput(c, {})
})

const readInput = routine('readInput', {}, (c: LauncherContext) => {
  const { b } = c
  const { reads, at, left } = inward(b)
  const { input } = ends(b)
  b.move(left, c.attempt('read', input, buffers(c).inward, bufferSize))
  const [done, ended] = [b.label(), b.label()]
  b.branch(left, 'eq', 0, ended)
  b.when(left, 'lt', firstError, () => {
    b.move(at, buffers(c).inward)
    writeInput(c, {})
    b.jump(done)
  })
  b.move(left, 0)
  c.whenError('EAGAIN', () => b.jump(done))
  // EIO: it is the caller's terminal, and another job has that now.
  b.move(reads, noFile)
  b.jump(done)
  b.place(ended)
  b.move(reads, noFile)
  c.attempt('close', input)
  b.move(input, noFile)
  // A pipe has no more to say; a terminal was closed.
  b.when(onTerminal(c), 'ne', 0, () => hangUp(c, {}))
  b.place(done)
})

/** As a terminal that is closed: the kernel tells the command by SIGHUP. */
const hangUp = routine('hangUpTerminal', {}, (c: LauncherContext) => {
  const { b } = c
  const { master, terminal } = ends(b)
  for (const fd of [master, terminal]) {
    c.attempt('close', fd)
    b.move(fd, noFile)
  }
  for (const { reads, writes, left } of [inward(b), outward(b)]) {
    b.move(reads, noFile)
    b.move(writes, noFile)
    b.move(left, 0)
  }
})

/** A program that runs on in the background may write for ever. */
const mostAtEnd = 2 ** 20

/** At the end, when the command has ended: what it wrote is handed on, and the caller's terminal is as it was. */
export function finishRelay(c: LauncherContext): void {
  if (!hasTerminal(c.plan)) return
  finish(c, {})
}

const finish = routine('finishRelay', {}, (c: LauncherContext) => {
  const { b } = c
  const { hears } = ends(b)
  const { writes } = outward(b)
  const total = b.temporary()
  b.when(hears, 'ne', noFile, () => takeTerminal(c, {}))
  b.move(total, 0)
  b.loop(({ leave, again }) => {
    b.when(writes, 'ne', noFile, () => {
      const { waits } = awaitOutput(c, {})
      b.when(waits, 'eq', 0, leave)
      writeOutput(c, {})
      again()
    })
    b.when(total, 'gt', mostAtEnd, leave)
    const { got } = readOutput(c, {})
    b.when(got, 'eq', 0, leave)
    b.compute(total, total, 'add', got)
  })
  hangUp(c, {})
  giveTerminalBack(c)
})

/**
 * Until the output takes more. No signal is handed on any more: one that asks to end is for us, and then what is slow is waited for no
 * longer. Who types ^C is heard where the terminal has its own modes.
 */
const awaitOutput = routine('awaitOutput', { gives: ['waits'] }, (c: LauncherContext, { waits }) => {
  const { b } = c
  const { input, output } = ends(b)
  const signal = b.temporary()
  const now = b.bytes(pack(structs.timespec, { tv_sec: 0n, tv_nsec: 0n }), 8)
  b.move(waits, 1)
  awaitWritable(c, output, {
    signal() {
      b.move(signal, c.attempt('rt_sigtimedwait', allSignals(c), 0, now, maskSize))
      for (const one of asksToEnd) b.when(signal, 'eq', one, () => b.move(asked(b), 1))
    },
    slow() {
      restoreTerminal(c, { input })
      // Who holds the other end of a pipe reads when it wants to.
      b.when(onTerminal(c), 'ne', 0, () => b.when(asked(b), 'ne', 0, () => b.move(waits, 0)))
    },
  })
})
