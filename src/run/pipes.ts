/** This process's ends of the pipes that a vial's monitor makes: launcher/pipes.ts. */
import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs'
import { record, pipesTaken } from '../launcher/record.js'
import type { PayloadPipe } from '../plan/step.js'
import { SandboxError } from './error.js'
import { peekStatus } from './statusFile.js'

/** Looks at the status file before the first pause: a vial takes some 50 µs to its pipes, and a pause at least as long. */
const looks = 20
/** Milliseconds. */
const pause = 0.05

const still = new Int32Array(new SharedArrayBuffer(4))

/**
 * Opens our ends, in the order of `pipes`, which do not block; none when the vial ended before it made them.
 * @throws {SandboxError} when they cannot be opened.
 */
export function takePipes(pid: number, pipes: readonly PayloadPipe[], status: number): number[] {
  requireOwnProc()
  const made = awaitPipes(pid, pipes.length, status)
  if (made === undefined) return []
  const opened: number[] = []
  try {
    pipes.forEach(({ payload }, index) => {
      const [read, write] = [0, 4].map((offset) => made.readUInt32LE(8 * (index + 1) + offset))
      const [end, mode] = payload === 'reads' ? [write, constants.O_WRONLY] : [read, constants.O_RDONLY]
      opened.push(openSync(`/proc/${pid}/fd/${end}`, mode | constants.O_NONBLOCK))
    })
  } catch (error) {
    for (const fd of opened) closeSync(fd)
    const { code, message } = error as NodeJS.ErrnoException
    // It failed meanwhile, and has no descriptors any more.
    if (code === 'ENOENT') return []
    throw new SandboxError(`cannot open the pipes of the vial: ${message}${hint(code)}`, code)
  }
  process.kill(pid, pipesTaken)
  return opened
}

const hint = (code = '') => (code === 'EMFILE' ? '\n      this process has too many files open: see ulimit -n' : '')

/** The record about the pipes, if it is written before any other. */
function awaitPipes(pid: number, count: number, status: number): Buffer | undefined {
  for (let look = 1; ; look++) {
    const first = peekStatus(status)
    if (first.length > 0 && first[0] !== record.piped) return undefined
    // A file is not written all at once, as others see it; no end of a pipe has the number 0.
    if (first.length > 0 && !new Uint32Array(first.buffer, first.byteOffset + 8, 2 * count).includes(0)) return first
    if (look < looks) continue
    if (hasEnded(pid)) return undefined
    Atomics.wait(still, 0, 0, pause)
  }
}

let procIsOurs = false

/** In a /proc of another pid namespace our child has another number, and its number is another process. */
function requireOwnProc(): void {
  if (procIsOurs) return
  try {
    procIsOurs = readlinkSync('/proc/self') === String(process.pid)
  } catch {}
  if (!procIsOurs)
    throw new SandboxError(
      'cannot open the pipes of the vial: /proc is not that of this process\n      mount it: mount -t proc proc /proc',
      undefined,
    )
}

/** Whether it is a zombie: it stays one until we return to the event loop, so that its number is nobody else's. */
function hasEnded(pid: number): boolean {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  return 'ZX'.includes(stat[stat.lastIndexOf(')') + 2]!)
}
