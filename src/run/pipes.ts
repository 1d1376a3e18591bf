/** This process's ends of the pipes that a vial's monitor makes: launcher/pipeCode.ts. */
import { closeSync, constants, openSync, readFileSync, readlinkSync } from 'node:fs'
import { systemFault, systemHints } from '../kernel/systemError.js'
import { pipesTaken, record } from '../launcher/record.js'
import type { PayloadPipe } from '../plan/step.js'
import { HostError } from '../text/error.js'
import { peekStatus } from './statusFile.js'

/** Looks at the status file before the first pause: a vial takes some 50 µs to its pipes, and a pause at least as long. */
const looks = 20
/** Milliseconds, for as many looks as a vial may need on a busy machine, and then. */
const [pause, longPause, shortLooks] = [0.05, 5, 1000]
/**
 * Looks with a long pause at a vial that does not run: some ten seconds. Another process has stopped it, or frozen its group.
 * Looks, not time: who is frozen along with the vial must not lose any.
 */
const mostIdleLooks = 2000

const still = new Int32Array(new SharedArrayBuffer(4))

/**
 * Opens our ends, in the order of `pipes`, which do not block; none when the vial ended before it made them.
 * @param patience how often it is looked at while it does not run
 * @throws {HostError} when they cannot be opened, or the vial does not go on.
 */
export function takePipes(
  pid: number,
  pipes: readonly PayloadPipe[],
  status: number,
  patience = mostIdleLooks,
): number[] {
  requireOwnProc()
  const opened: number[] = []
  try {
    const made = awaitPipes(pid, pipes.length, status, patience)
    if (made === undefined) return []
    pipes.forEach(({ payload }, index) => {
      const [read, write] = [0, 4].map((offset) => made.readUInt32LE(8 * (index + 1) + offset))
      const [end, mode] = payload === 'reads' ? [write, constants.O_WRONLY] : [read, constants.O_RDONLY]
      opened.push(openSync(`/proc/${pid}/fd/${end}`, mode | constants.O_NONBLOCK))
    })
  } catch (error) {
    for (const fd of opened) closeSync(fd)
    if (error instanceof HostError) throw error
    const { code } = error as NodeJS.ErrnoException
    // It failed or was killed meanwhile, and has no descriptors any more.
    if (code === 'ENOENT') return []
    throw new HostError(`cannot open the pipes of the vial: ${systemFault(error)}`, {
      code,
      hint: systemHints[code ?? ''],
      cause: error,
    })
  }
  process.kill(pid, pipesTaken)
  return opened
}

/** The record about the pipes, if it is written before any other. This process does nothing else meanwhile: so there is an end to it. */
function awaitPipes(pid: number, count: number, status: number, patience: number): Buffer | undefined {
  for (let [look, idle] = [1, 0]; ; look++) {
    const first = peekStatus(status)
    if (first.length > 0 && first[0] !== record.piped) return undefined
    // A file is not written all at once, as others see it; no end of a pipe has the number 0.
    if (first.length > 0 && !new Uint32Array(first.buffer, first.byteOffset + 8, 2 * count).includes(0)) return first
    if (look < looks) continue
    const state = stateOf(pid)
    if (hasEnded.includes(state)) return undefined
    if (look > shortLooks && state !== running && ++idle > patience)
      throw new HostError('the vial was stopped before it made its pipes: continue it, or thaw its cgroup', {
        code: 'ETIMEDOUT',
      })
    Atomics.wait(still, 0, 0, look > shortLooks ? longPause : pause)
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
    throw new HostError('cannot open the pipes of the vial: /proc is not that of this process', {
      hint: 'mount it: mount -t proc proc /proc',
    })
}

/** proc_pid_stat(5). It stays a zombie until we return to the event loop, so that its number is no other process's. */
const running = 'R'
const hasEnded = 'ZX'

function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat[stat.lastIndexOf(')') + 2]!
  } catch (error) {
    // Another part of this program has waited for it.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 'X'
    throw error
  }
}
