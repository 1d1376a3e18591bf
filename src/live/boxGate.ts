/**
 * Commands of an open sandbox by its gate. It is started with the first of them, and again where it was killed; it ends with the
 * sandbox, or with this process.
 */
import type { Compiled } from '../compile/compile.js'
import { frameType, most } from '../launcher/frame.js'
import { conclude, now } from '../run/conclude.js'
import { Streams } from '../run/connections.js'
import type { CollectedCommand, Door, DoorCommand } from '../run/door.js'
import { EarlyEnd } from '../run/earlyEnd.js'
import { patience } from '../run/endSandbox.js'
import type { LimitedRun } from '../run/limitedRun.js'
import type { Result } from '../run/result.js'
import { type BoxProcess, type ConnectedProcess, withStreams } from '../run/spawn.js'
import { perRunOf, wholeEnvironment } from '../run/startEnvironment.js'
import { type Outcome, readOutcome } from '../run/status.js'
import { completeStdio } from '../run/stdio.js'
import { OutputStream, type Receiver } from '../run/streams.js'
import { type Frame, FrameReader, frameAbout, runFrame, type Words } from './frames.js'
import { GateCommand, GateInput, GateOutput } from './gateStreams.js'
import { compileGate, type GateOptions, type GateProcess, startGate } from './openGate.js'

interface CommandStreams {
  /** What gets standard output, and standard error. */
  readonly outputs: readonly Receiver[]
  readonly input?: GateInput
}

/** A command that it runs. */
interface Running extends CommandStreams {
  end(outcome: Outcome): void
  fail(error: unknown): void
}

export class BoxGate implements Door {
  readonly #options: GateOptions
  readonly #compile: (options: GateOptions) => Compiled
  #compiled: Compiled | undefined
  #gate: GateProcess | undefined
  readonly #running = new Map<number, Running>()
  #last = 0
  #retired = false

  /** @param compile gives the program of its gate */
  constructor(options: GateOptions, compile = compileGate) {
    this.#options = options
    this.#compile = compile
  }

  /** Starts the gate before there is a command, where it takes any. */
  open(): void {
    if (!this.#takes()) return
    this.#compiled ??= this.#compile(this.#options)
    this.#started()
  }

  collect({ input, receivers, ...asked }: CollectedCommand): Pick<ConnectedProcess, 'kill' | 'result'> | undefined {
    const given = input === undefined ? ({ stdin: 'none', input: '' } as const) : ({ stdin: 'whole', input } as const)
    return this.#begin(asked, given, (_, meter) => ({
      outputs: receivers.map((receiver, index) => meter(index + 1, receiver)),
    }))
  }

  spawn(asked: DoorCommand): BoxProcess | undefined {
    const streams = new Streams(completeStdio())
    const begun = this.#begin(asked, { stdin: 'open', input: '' }, (command, meter) => {
      const input = new GateInput(command)
      streams.inputs.set(0, input)
      const outputs: GateOutput[] = []
      for (const fd of [1, 2]) {
        const open = (receiver: Receiver) => {
          const output = new GateOutput(command, fd, meter(fd, receiver))
          outputs.push(output)
          return output
        }
        streams.outputs.set(fd, new OutputStream(open))
      }
      return { input, outputs }
    })
    return begun && withStreams(streams, { pid: undefined, ...begun })
  }

  /** @param streamsOf what gets its output, and gives its input */
  #begin(
    { command, args, options, limiter }: DoorCommand,
    given: Pick<Words, 'stdin' | 'input'>,
    streamsOf: (command: GateCommand, meter: (fd: number, receiver: Receiver) => Receiver) => CommandStreams,
  ): Pick<ConnectedProcess, 'kill' | 'result'> | undefined {
    if (!this.#takes()) return undefined
    this.#compiled ??= this.#compile(this.#options)
    const { policy, plan, steps } = this.#compiled
    const { cwd, environment } = perRunOf(policy, plan.start.environment)
    const variables = Object.entries(wholeEnvironment(environment, options.env)).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    )
    this.#last = (this.#last + 1) % 2 ** 32
    const id = this.#last
    const bytes = runFrame(id, { cwd: options.cwd ?? cwd, args: [command, ...args], variables, ...given })
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
    const asked = new GateCommand(id, (frame) => this.#running.has(id) && gate.control.write(frame))
    const streams = streamsOf(asked, (fd, receiver) => limited?.meter(fd, receiver, end) ?? receiver)
    const outcome = new Promise<Outcome>((resolve, reject) => {
      this.#running.set(id, { ...streams, end: resolve, fail: reject })
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
    const kill = (signal: NodeJS.Signals = 'SIGTERM') => {
      if (signal === 'SIGKILL') return early.byCaller()
      if (!this.#running.has(id)) return false
      asked.signal(signal)
      return true
    }
    return { kill, result }
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
      for (const running of left) {
        close(running)
        settle(running)
      }
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

  #take({ type, id, detail, body }: Frame): void {
    const running = this.#running.get(id)
    // Of one that is over there is nothing more.
    if (running === undefined) return
    if (type === frameType.output) running.outputs[detail - 1]?.take(body)
    if (type === frameType.taken) running.input?.taken(detail !== 0)
    if (type !== frameType.ended) return
    this.#running.delete(id)
    close(running)
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
    gate.control.write(frameAbout(id, 'end'))
    // A gate that another process has stopped would leave the command as it is.
    setTimeout(() => this.#running.has(id) && gate.kill(), patience).unref()
    return true
  }
}

/** Nothing comes any more, and nothing is read. */
function close({ outputs, input }: CommandStreams): void {
  for (const output of outputs) output.end()
  input?.destroy()
}
