/**
 * What the monitor waits for besides signals: descriptors that can be read, or written. A signalfd(2) tells that a signal is pending, which
 * is then taken by rt_sigtimedwait(2) as where there is nothing else to wait for.
 */
import { ifReady, pollsOf } from '../assembly/files.js'
import { variable } from '../assembly/variables.js'
import { POLL } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { Operand } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'
import { allSignals, maskSize } from './signalMask.js'

export interface Source {
  /** `noFile`: none, any more. */
  readonly fd: Operand
  /** It is waited for until it can be written, not read. */
  readonly writes?: true
  /** Emits what is done then. */
  act(): void
}

const signalFd = variable()

/** Gives what the monitor keeps open besides them. */
export function prepareSources(c: LauncherContext, sources: readonly Source[]): Operand[] {
  if (sources.length === 0) return []
  const signal = signalFd(c.b)
  c.b.move(signal, c.must('signalfd4', -1, allSignals(c), maskSize, c.open.CLOEXEC))
  return [signal]
}

/** Returns when a signal is pending; meanwhile does what the sources ask for. */
export function awaitSources(c: LauncherContext, sources: readonly Source[]): void {
  if (sources.length === 0) return
  const { b } = c
  const { size, fields } = structs.pollfd
  b.loop(({ leave }) => {
    const polls = pollsOf(b, [signalFd(b), ...sources.map(({ fd }) => fd)])
    for (const [index, { writes }] of sources.entries())
      if (writes) b.store(32, polls, (index + 1) * size + fields.events.offset, POLL.OUT)
    c.attempt('ppoll', polls, sources.length + 1, 0, 0, 0)
    for (const [index, { act }] of sources.entries()) ifReady(b, polls, index + 1, act)
    ifReady(b, polls, 0, leave)
  })
}

/** How long an output may take nothing before it counts as slow. */
const patience = { tv_sec: 1n, tv_nsec: 0n }

/** Waits until this can be written, until a signal is pending, or until that is slow. */
export function awaitWritable(
  c: LauncherContext,
  fd: Operand,
  { signal, slow }: { readonly signal: () => void; readonly slow: () => void },
): void {
  const { b } = c
  const { size, fields } = structs.pollfd
  const polls = pollsOf(b, [signalFd(b), fd])
  b.store(32, polls, size + fields.events.offset, POLL.OUT)
  c.attempt('ppoll', polls, 2, b.bytes(pack(structs.timespec, patience), 8), 0, 0)
  b.when(c.result, 'eq', 0, slow)
  ifReady(b, polls, 0, signal)
}
