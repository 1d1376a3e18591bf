/**
 * Commands of an open sandbox by its gate. It is started with the first of them, and again where it was killed; it ends with the
 * sandbox, or with this process.
 */
import type { Compiled } from '../compile/compile.js'
import { frameType, most } from '../launcher/frame.js'
import type { CollectedCommand, CollectingDoor } from '../run/collectingDoor.js'
import { conclude, now } from '../run/conclude.js'
import { EarlyEnd } from '../run/earlyEnd.js'
import { patience } from '../run/endSandbox.js'
import type { LimitedRun } from '../run/limitedRun.js'
import type { Result } from '../run/result.js'
import type { ConnectedProcess } from '../run/spawn.js'
import { perRunOf, wholeEnvironment } from '../run/startEnvironment.js'
import { type Outcome, readOutcome } from '../run/status.js'
import type { Receiver } from '../run/streams.js'
import { endFrame, type Frame, FrameReader, runFrame } from './frames.js'
import { compileGate, type GateOptions, type GateProcess, startGate } from './openGate.js'

/** A command that it runs. */
interface Running {
  readonly outputs: readonly Receiver[]
  end(outcome: Outcome): void
  fail(error: unknown): void
}

export class BoxGate implements CollectingDoor {
  readonly #options: GateOptions
  #compiled: Compiled | undefined
  #gate: GateProcess | undefined
  readonly #running = new Map<number, Running>()
  #last = 0
  #retired = false

  constructor(options: GateOptions) {
    this.#options = options
  }

  start(asked: CollectedCommand): Pick<ConnectedProcess, 'kill' | 'result'> | undefined {
    if (!this.#takes()) return undefined
    const { command, args, options, input, receivers, limiter } = asked
    this.#compiled ??= compileGate(this.#options)
    const { policy, plan, steps } = this.#compiled
    const { cwd, environment } = perRunOf(policy, plan.start.environment)
    const variables = Object.entries(wholeEnvironment(environment, options.env)).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    )
    this.#last = (this.#last + 1) % 2 ** 32
    const id = this.#last
    const words = { cwd: options.cwd ?? cwd, args: [command, ...args], variables, input }
    const bytes = runFrame(id, words)
    if (bytes === undefined) return undefined

    const limited: LimitedRun | undefined = limiter?.begin()
    const started = now()
    let gate: GateProcess
    try {
      gate = this.#started()
    } catch (error) {
      limited?.abandon()
      throw error
    }
    const end = () => this.#end(id)
    const early = new EarlyEnd(options, end)
    const outputs = receivers.map((receiver, index) => limited?.meter(index + 1, receiver, end) ?? receiver)
    const outcome = new Promise<Outcome>((resolve, reject) => {
      this.#running.set(id, { outputs, end: resolve, fail: reject })
    })
    gate.hold(true)
    gate.control.write(bytes)

    const finish = async (): Promise<Result> => {
      try {
        const known = await outcome
        const durationMs = now() - started
        early.stop()
        return await conclude({
          ...{ outcome: known, durationMs, early, limiter, command },
          // Where it does not tell how the command ended, it was killed with the command.
          monitor: { exitCode: null, signal: 'SIGKILL' },
          outputExceeded: limited?.outputExceeded,
          cwd: options.cwd,
          signal: options.signal,
          steps: () => steps,
        })
      } finally {
        early.stop()
        await limited?.finish(true)
      }
    }
    const result = finish()
    // As of one that has a start of its own.
    result.catch(() => {})
    return { kill: () => early.byCaller(), result }
  }

  /** The sandbox has ended, or is to: no command enters it any more. */
  retire(): void {
    this.#retired = true
    if (this.#running.size === 0) this.#gate?.control.end()
  }

  #takes(): boolean {
    const { session = 'new', limits } = this.#options.policy().checked
    return !this.#retired && this.#running.size < most.atOnce && session === 'new' && limits?.wallTime === undefined
  }

  #started(): GateProcess {
    if (this.#gate !== undefined) return this.#gate
    const gate = startGate(this.#compiled!, this.#options.target)
    this.#gate = gate
    const reader = new FrameReader((frame) => this.#take(frame))
    gate.control.on('data', (piece: Buffer) => {
      try {
        reader.read(piece)
      } catch {
        gate.kill()
      }
    })
    const lost = (settle: (running: Running) => void) => {
      if (this.#gate === gate) this.#gate = undefined
      const left = [...this.#running.values()]
      this.#running.clear()
      for (const running of left) settle(running)
    }
    // Its last frames may come behind its end.
    const heard = new Promise((resolve) => gate.control.once('close', resolve))
    gate.ended.then(
      async ({ failure }) => {
        await heard
        lost((running) => running.end(failure === undefined ? {} : { failure }))
      },
      (error: unknown) => lost((running) => running.fail(error)),
    )
    return gate
  }

  #take({ type, id, stream, body }: Frame): void {
    const running = this.#running.get(id)
    // Of one that is over there is nothing more.
    if (running === undefined) return
    if (type === frameType.output) running.outputs[stream - 1]?.take(body)
    if (type !== frameType.ended) return
    this.#running.delete(id)
    for (const output of running.outputs) output.end()
    if (this.#running.size === 0) {
      this.#gate?.hold(false)
      if (this.#retired) this.#gate?.control.end()
    }
    running.end(readOutcome(body))
  }

  /** False: it is over. */
  #end(id: number): boolean {
    const gate = this.#gate
    if (gate === undefined || !this.#running.has(id)) return false
    gate.control.write(endFrame(id))
    // A gate that another process has stopped would leave the command as it is.
    setTimeout(() => this.#running.has(id) && gate.kill(), patience).unref()
    return true
  }
}
