/**
 * The caller's terminal while a command has one of its own: each key goes to the command as it is, and what it writes is shown as it is.
 * At the end, and whenever the job stops, the terminal gets its modes back, unless another process has set others by then: a shell
 * takes the terminal as soon as its job has stopped or ended.
 */
import { routine } from '../assembly/routine.js'
import { own, variables } from '../assembly/variables.js'
import { SIGMASK, TC, TERMIOS } from '../kernel/flags.js'
import { signals } from '../kernel/signals.js'
import { structs } from '../kernel/structs.js'
import type { Address, Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { maskSize, setOf } from './signalMask.js'

const state = variables('present', 'raw')
const modes = own(({ b }: LauncherContext) => {
  const { size } = structs.termios
  return { found: b.reserve(size), usual: b.reserve(size), raw: b.reserve(size) }
})

/** Whether standard input is a terminal, as a number. */
export const onTerminal = ({ b }: LauncherContext): Slot => state(b).present

/** In the monitor, while it has the caller's standard input. */
export function lookForTerminal(c: LauncherContext): void {
  const { b } = c
  b.move(state(b).raw, 0)
  b.move(onTerminal(c), 0)
  c.attempt('ioctl', 0, TC.GETS, modes(c).found)
  c.whenFailed(
    () => {},
    () => {
      b.move(onTerminal(c), 1)
      // Until then its modes are those of a shell that edits a line, and the command's would be the same.
      awaitForeground(c, 0)
    },
  )
}

/**
 * A job in the background stops here until it is continued in the foreground. The call changes nothing, but stops the job as whatever
 * changes a terminal: tty_check_change() in drivers/tty/tty_jobctrl.c.
 */
function awaitForeground(c: LauncherContext, terminal: Slot | 0): void {
  c.attempt('ioctl', terminal, TC.XONC, TC.OON)
}

/** Waits for the foreground. */
export const makeRaw = routine('makeRaw', { takes: ['input'] }, (c: LauncherContext, { input }) => {
  const { b } = c
  const { found, usual, raw } = modes(c)
  const background = setOf(c, signals.SIGTTOU)
  const done = b.label()
  b.branch(onTerminal(c), 'eq', 0, done)
  c.attempt('rt_sigprocmask', SIGMASK.UNBLOCK, background, 0, maskSize)
  awaitForeground(c, input)
  b.move(state(b).raw, c.result)
  c.attempt('rt_sigprocmask', SIGMASK.BLOCK, background, 0, maskSize)
  // EIO: no shell would continue the job. It gets no keys.
  b.branch(state(b).raw, 'ne', 0, done)
  c.attempt('ioctl', input, TC.GETS, found)
  c.onFailure(done)
  const isSame = b.label()
  whenSame(c, () => b.jump(isSame))
  copy(c, found, usual)
  copy(c, found, raw)
  setRaw(c, raw)
  c.attempt('ioctl', input, TC.SETS, raw)
  c.onFailure(done)
  // As the driver took them.
  c.attempt('ioctl', input, TC.GETS, raw)
  b.place(isSame)
  b.move(state(b).raw, 1)
  b.place(done)
})

/** Gives the terminal its modes back. SIGTTOU is blocked, so that this may be done in the background. */
export const restoreTerminal = routine('restoreTerminal', { takes: ['input'] }, (c: LauncherContext, { input }) => {
  const { b } = c
  const { found, usual } = modes(c)
  b.when(state(b).raw, 'eq', 1, () => {
    b.move(state(b).raw, 0)
    c.attempt('ioctl', input, TC.GETS, found)
    whenSame(c, () => c.attempt('ioctl', input, TC.SETS, usual))
  })
})

/** What cfmakeraw(3) does. */
function setRaw(c: LauncherContext, to: Address): void {
  const { b } = c
  const T = TERMIOS
  const { c_iflag, c_oflag, c_cflag, c_lflag, c_cc } = structs.termios.fields
  const word = b.temporary()
  const change = ({ offset }: { readonly offset: number }, without: number, more = 0) => {
    b.load(word, 32, to, offset)
    b.compute(word, word, 'and', ~without >>> 0)
    if (more !== 0) b.compute(word, word, 'or', more)
    b.store(32, to, offset, word)
  }
  change(c_iflag, T.IGNBRK | T.BRKINT | T.PARMRK | T.ISTRIP | T.INLCR | T.IGNCR | T.ICRNL | T.IXON)
  change(c_oflag, T.OPOST)
  change(c_cflag, T.CSIZE | T.PARENB, T.CS8)
  change(c_lflag, T.ECHO | T.ECHONL | T.ICANON | T.ISIG | T.IEXTEN)
  b.store(8, to, c_cc.offset + T.VMIN, 1)
  b.store(8, to, c_cc.offset + T.VTIME, 0)
}

const wordsOf = () => Array.from({ length: structs.termios.size / 4 }, (_, index) => 4 * index)

function copy({ b }: LauncherContext, from: Address, to: Address): void {
  const word = b.temporary()
  for (const offset of wordsOf()) {
    b.load(word, 32, from, offset)
    b.store(32, to, offset, word)
  }
}

/** When the modes that were found are those that we have set. */
function whenSame(c: LauncherContext, then: () => void): void {
  const { b } = c
  const { found, raw } = modes(c)
  const [left, right] = b.temporaries(2)
  const other = b.label()
  for (const offset of wordsOf()) {
    b.load(left, 32, found, offset)
    b.load(right, 32, raw, offset)
    b.branch(left, 'ne', right, other)
  }
  then()
  b.place(other)
}
