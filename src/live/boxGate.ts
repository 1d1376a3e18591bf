/**
 * Commands of an open sandbox by its gate. It is started with the first of them, and again where it was killed; it ends with the
 * sandbox, or with this process.
 */
import type { Compiled } from '../compile/compile.js'
import { frameType, most } from '../launcher/frame.js'
import { Streams } from '../run/connections.js'
import type { CollectedCommand, Door, DoorCommand } from '../run/door.js'
import { patience } from '../run/endSandbox.js'
import { type BoxProcess, type ConnectedProcess, withStreams } from '../run/spawn.js'
import { perRunOf, wholeEnvironment } from '../run/startEnvironment.js'
import { completeStdio } from '../run/stdio.js'
import { OutputStream, type Receiver } from '../run/streams.js'
import { FramedRun, type FramedStreams } from './framedRun.js'
import { type Frame, frameAbout, runFrame, type Words } from './frames.js'
import { GateCommand, GateInput, GateOutput } from './gateStreams.js'
import { compileGate, type GateOptions, type GateProcess, startGate, takeFrames } from './openGate.js'

export class BoxGate implements Door {
  readonly #options: GateOptions
  readonly #compile: (options: GateOptions) => Compiled
  #compiled: Compiled | undefined
  #gate: GateProcess | undefined
  readonly #running = new Map<number, FramedRun>()
  #last = 0
  #retired = false
  #isOld = false

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
    streamsOf: (command: GateCommand, meter: (fd: number, receiver: Receiver) => Receiver) => FramedStreams,
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

    const limited = limiter?.begin()
    let gate: GateProcess
    try {
      gate = this.#started()
    } catch (error) {
      limited?.abandon()
      throw error
    }
    const asked = new GateCommand(id, (frame) => this.#running.has(id) && gate.control.write(frame))
    const run = new FramedRun({
      ...{ command, args, options, limiter, limited },
      streams: (meter) => streamsOf(asked, meter),
      end: () => this.#end(id),
      steps: () => steps,
    })
    this.#running.set(id, run)
    gate.hold(true)
    gate.control.write(bytes)
    const kill = (signal: NodeJS.Signals = 'SIGTERM') => {
      if (signal === 'SIGKILL') return run.byCaller()
      if (!this.#running.has(id)) return false
      asked.signal(signal)
      return true
    }
    return { kill, result: run.result }
  }

  /** The sandbox has ended, or is to: no command enters it any more. */
  retire(): void {
    this.#retired = true
    if (this.#running.size === 0) this.#gate?.control.end()
  }

  /** Commands that come from here on enter by another gate: what this one may reach was settled when it started. */
  renew(): void {
    if (this.#running.size === 0) this.#endGate()
    else this.#isOld = true
  }

  #takes(): boolean {
    const { session = 'new', limits } = this.#options.policy().checked
    return (
      !this.#retired &&
      !this.#isOld &&
      this.#running.size < most.atOnce &&
      session === 'new' &&
      limits?.wallTime === undefined
    )
  }

  #started(): GateProcess {
    if (this.#gate !== undefined) return this.#gate
    const gate = startGate(this.#compiled!, this.#options.target)
    this.#gate = gate
    const lost = (settle: (running: FramedRun) => void) => {
      // What runs is another's by now.
      if (this.#gate !== gate) return
      this.#gate = undefined
      this.#isOld = false
      const left = [...this.#running.values()]
      this.#running.clear()
      for (const running of left) settle(running)
    }
    takeFrames(gate, (frame) => this.#take(frame)).then(
      ({ failure }) => lost((running) => running.end(failure === undefined ? {} : { failure })),
      (error: unknown) => lost((running) => running.fail(error)),
    )
    return gate
  }

  #take(frame: Frame): void {
    const running = this.#running.get(frame.id)
    // Of one that is over there is nothing more.
    if (running === undefined) return
    if (frame.type !== frameType.ended) {
      running.take(frame)
      return
    }
    this.#running.delete(frame.id)
    if (this.#running.size === 0) {
      this.#gate?.hold(false)
      if (this.#retired) this.#gate?.control.end()
      else if (this.#isOld) this.#endGate()
    }
    running.take(frame)
  }

  #endGate(): void {
    this.#gate?.control.end()
    this.#gate = undefined
    this.#isOld = false
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
