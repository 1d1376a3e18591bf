/**
 * Who has the foreground of a terminal that the payload shares. A shell inside takes it for process groups of its own; when they
 * are gone, nobody may read the terminal (EIO), or whoever does is stopped. tcsetpgrp(3), credentials(7).
 */
import { AT, TIOC } from '../kernel/flags.js'
import { firstError, type Slot } from '../machine/instruction.js'
import type { LauncherContext } from './context.js'

/** The group that has it; 0 when it is not ours to give back. */
const ours = (c: LauncherContext): Slot => c.b.slot('foreground')

/** At the start, in the monitor. */
export function rememberForeground(c: LauncherContext): void {
  const { b } = c
  const [group, terminal] = [b.temporary(), b.temporary()]
  b.move(ours(c), 0)
  withTerminal(c, terminal, group, () => {
    c.attempt('getpgid', 0)
    b.when(c.result, 'eq', group, () => b.move(ours(c), group))
  })
}

/** At the end, when the payload has ended. SIGTTOU is blocked. */
export function giveForegroundBack(c: LauncherContext): void {
  const { b } = c
  const [group, terminal] = [b.temporary(), b.temporary()]
  const value = b.reserve(8)
  b.when(ours(c), 'ne', 0, () =>
    withTerminal(c, terminal, group, () => {
      b.compute(group, 0, 'sub', group)
      c.attempt('kill', group, 0)
      c.whenError('ESRCH', () => {
        b.store(32, value, 0, ours(c))
        c.attempt('ioctl', terminal, TIOC.SPGRP, value)
      })
    }),
  )
}

function withTerminal(c: LauncherContext, terminal: Slot, group: Slot, then: () => void): void {
  const { b } = c
  const value = b.reserve(8)
  b.move(terminal, c.attempt('openat', AT.FDCWD, b.text('/dev/tty'), c.open.RDWR | c.open.CLOEXEC, 0))
  b.when(terminal, 'lt', firstError, () => {
    c.attempt('ioctl', terminal, TIOC.GPGRP, value)
    b.load(group, 32, value)
    then()
    c.attempt('close', terminal)
  })
}
