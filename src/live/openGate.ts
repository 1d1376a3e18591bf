/** Starts a gate: the process by which Node.js has many commands enter an open sandbox. */
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { openStored } from '../cache/contentVials.js'
import { type Compiled, compileAccepted } from '../compile/compile.js'
import { layOut } from '../plan/namedDescriptors.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { isOver, tellEnd } from '../run/endSandbox.js'
import type { Entering } from '../run/sandbox.js'
import { endOf, hold, startError, startProcess } from '../run/startProcess.js'
import { type Outcome, readOutcome } from '../run/status.js'
import { borrowStatusFile, peekStatus, readStatus, returnStatusFile } from '../run/statusFile.js'
import { type Frame, FrameReader } from './frames.js'

export interface GateOptions extends Entering {
  readonly policy: () => AcceptedPolicy
  readonly base: string
  readonly trusted: readonly string[]
}

/** @throws {VialError} when the policy has faults that only this host shows */
export function compileGate({ policy, base, trusted, group }: GateOptions): Compiled {
  const entered = group()
  return compileAccepted(policy(), {
    base,
    trusted,
    enters: true,
    serves: true,
    descriptors: { payload: 3, status: 1, control: 1 },
    outputIsWatched: true,
    ...(entered === undefined ? {} : { group: entered }),
  })
}

export interface GateProcess {
  readonly control: Socket
  /** What its records tell, of a step that failed before it served. */
  readonly ended: Promise<Outcome>
  /** Ends it, whatever it does. */
  kill(): void
  /** Whether it keeps this process waiting for its end. */
  hold(holds: boolean): void
}

/**
 * Gives each frame that comes to `take`; what is no frame ends the process. Settles as `ended` does, but when its last frames were taken,
 * which may come behind its end.
 */
export async function takeFrames(
  { control, ended, kill }: GateProcess,
  take: (frame: Frame) => void,
): Promise<Outcome> {
  const reader = new FrameReader(take)
  control.on('data', (piece: Buffer) => {
    try {
      reader.read(piece)
    } catch {
      kill()
    }
  })
  const heard = new Promise((resolve) => control.once('close', resolve))
  const outcome = await ended
  await heard
  return outcome
}

/** @throws {HostError} when it cannot be started */
export function startGate(compiled: Compiled, target: readonly string[]): GateProcess {
  const status = borrowStatusFile(0n)
  let child: ChildProcess
  try {
    child = startProcess(() => openStored(compiled.bytes), target, {
      stdio: layOut<'ignore' | 'pipe' | number>({
        payload: ['ignore', 'ignore', 'ignore'],
        status: [status],
        control: ['pipe'],
      }),
      env: {},
      argv0: 'vial',
    })
  } catch (error) {
    returnStatusFile(status, true)
    throw startError(error)
  }
  const control = child.stdio[child.stdio.length - 1] as Socket
  // What is written to one that has ended fails: `ended` tells that it has.
  control.on('error', () => {})
  const ended = endOf(child).then(
    () => {
      const outcome = readOutcome(readStatus(status))
      returnStatusFile(status, outcome.usage !== undefined)
      return outcome
    },
    (error: unknown) => {
      returnStatusFile(status, true)
      throw error
    },
  )
  ended.catch(() => {})
  return {
    control,
    ended,
    kill() {
      if (child.pid === undefined || isOver(child)) return
      tellEnd(child.pid, peekStatus(status), 'SIGKILL')
      child.kill('SIGKILL')
    },
    hold: (holds) => hold(holds, [child, control]),
  }
}
