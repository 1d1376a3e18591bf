/** A command that another process runs for this one, which tells of it in frames: its life, from the frame that asks for it to its result. */
import { frameType } from '../launcher/frame.js'
import type { LaunchedStep } from '../plan/step.js'
import { conclude, now } from '../run/conclude.js'
import type { DoorCommand } from '../run/door.js'
import { EarlyEnd } from '../run/earlyEnd.js'
import type { LimitedRun } from '../run/limitedRun.js'
import type { Result } from '../run/result.js'
import type { ConnectedProcess } from '../run/spawn.js'
import { type Outcome, readOutcome } from '../run/status.js'
import type { Receiver } from '../run/streams.js'
import type { Frame } from './frames.js'
import type { GateInput } from './gateStreams.js'

export interface FramedStreams {
  /** What gets standard output, and standard error. */
  readonly outputs: readonly Receiver[]
  readonly input?: GateInput
}

export interface FramedCommand extends DoorCommand {
  readonly limited: LimitedRun | undefined
  /** @param meter counts what a descriptor's receiver gets */
  streams(meter: (fd: number, receiver: Receiver) => Receiver): FramedStreams
  /** Ends it. False: it is over. */
  end(): boolean
  /** The limit for which this process has ended it. */
  reached?(): Outcome['reached']
  steps(): readonly LaunchedStep[]
}

export class FramedRun {
  readonly result: Promise<Result>
  readonly #streams: FramedStreams
  readonly #early: EarlyEnd
  #settle!: (outcome: Outcome) => void
  #fail!: (error: unknown) => void

  constructor({ command, options, limiter, limited, streams, end, steps, reached }: FramedCommand) {
    const started = now()
    const early = new EarlyEnd(options, end)
    this.#early = early
    this.#streams = streams((fd, receiver) => limited?.meter(fd, receiver, end) ?? receiver)
    const outcome = new Promise<Outcome>((resolve, reject) => {
      this.#settle = resolve
      this.#fail = reject
    })
    const finish = async (): Promise<Result> => {
      try {
        const told = await outcome
        const limit = reached?.()
        const known = { ...told, ...(limit === undefined ? {} : { reached: limit }) }
        const durationMs = now() - started
        early.stop()
        return await conclude({
          ...{ outcome: known, durationMs, early, limiter, command, steps },
          // Where it does not tell how the command ended, it was killed with the command.
          monitor: { exitCode: null, signal: 'SIGKILL' },
          outputExceeded: limited?.outputExceeded,
          cwd: options.cwd,
          signal: options.signal,
        })
      } finally {
        early.stop()
        await limited?.finish(true)
      }
    }
    this.result = finish()
    // As of one that has a start of its own.
    this.result.catch(() => {})
  }

  /** Whether that was the last one. */
  take({ type, detail, body }: Pick<Frame, 'type' | 'detail' | 'body'>): boolean {
    const { outputs, input } = this.#streams
    if (type === frameType.output) outputs[detail - 1]?.take(body)
    if (type === frameType.taken) input?.taken(detail !== 0)
    if (type !== frameType.ended) return false
    this.end(readOutcome(body))
    return true
  }

  /** It has ended. */
  end(outcome: Outcome): void {
    this.#close()
    this.#settle(outcome)
  }

  /** What runs it could not be started. */
  fail(error: unknown): void {
    this.#close()
    this.#fail(error)
  }

  /** SIGKILL of the caller's. */
  byCaller(): boolean {
    return this.#early.byCaller()
  }

  /** Nothing comes any more, and nothing is read. */
  #close(): void {
    for (const output of this.#streams.outputs) output.end()
    this.#streams.input?.destroy()
  }
}

export type FramedProcess = Pick<ConnectedProcess, 'kill' | 'result'>
