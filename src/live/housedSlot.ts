/** One slot of a house, as Node.js sees it: it becomes ready, takes files and a command, tells the result, and is gone. */
import { type Compiled, rlimitsOfOwn } from '../compile/compile.js'
import { rlimits } from '../kernel/rlimits.js'
import { signals } from '../kernel/signals.js'
import { frameType, most } from '../launcher/frame.js'
import { endSignal } from '../launcher/record.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { type Own, parseOwn } from '../policy/ownOptions.js'
import type { CollectedCommand, Door } from '../run/door.js'
import { patience } from '../run/endSandbox.js'
import { refuseAborted } from '../run/result.js'
import { type RunResult, Sandbox } from '../run/sandbox.js'
import { perRunOf, wholeEnvironment } from '../run/startEnvironment.js'
import { type Outcome, readOutcome } from '../run/status.js'
import { HostError, OptionError } from '../text/error.js'
import { type FramedProcess, FramedRun } from './framedRun.js'
import { fileFrames, type Frame, frameAbout, limitFrame, runFrame } from './frames.js'
import { GateCommand, GateInput } from './gateStreams.js'
import type { InlineFile } from './poolOptions.js'
import type { PooledCommand, Slot } from './slots.js'

export interface House {
  readonly policy: AcceptedPolicy
  readonly base: string
  readonly compiled: Compiled
  write(frame: Buffer): void
}

/** Bytes of files that a slot may have to take: its socket has room for them, with all of a command behind. net.core.wmem_default is 208 KiB. */
const mostUnwritten = 2 ** 16

export class HousedSlot implements Slot, Door {
  readonly takesOwn = true
  readonly ready: Promise<Slot>
  readonly ended: Promise<void>
  isMade = false
  readonly #id: number
  readonly #house: House
  #resolve!: (slot: Slot) => void
  #reject!: (error: unknown) => void
  #gone!: () => void
  #isGone = false
  #run: FramedRun | undefined
  /** Files on their way, the first of which is being written, and who waits for that. */
  #unwritten: { readonly path: string; readonly size: number }[] = []
  #written: (() => void) | undefined
  /** How it ended before it had a command. */
  #early: Outcome | undefined

  constructor(id: number, house: House) {
    this.#id = id
    this.#house = house
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // What has asked for it may be gone.
    this.ready.catch(() => {})
    this.ended = new Promise((resolve) => (this.#gone = resolve))
  }

  async run({ command, args, options, files }: PooledCommand): Promise<RunResult<string | Buffer>> {
    const { policy, base } = this.#house
    // What is wrong there is told before anything is done.
    const own = parseOwn(options)
    this.#rlimits(own)
    for (const file of files) await this.#writeFile(file)
    if (this.#unwritten.length > 0) await this.#allWritten(0)
    refuseAborted(options)
    const entering = { target: [], group: () => undefined, door: this }
    return new Sandbox(() => policy, base, { entering }).run(command, args, options)
  }

  async close(): Promise<void> {
    this.#end()
    await this.ended
  }

  /** From the house. */
  take(frame: Frame): void {
    const { type, body } = frame
    if (type === frameType.ready) {
      this.isMade = true
      this.#resolve(this)
    } else if (type === frameType.written) {
      this.#unwritten.shift()
      this.#written?.()
    } else if (this.#run !== undefined) this.#run.take(frame)
    else if (type === frameType.ended) this.#endEarly(readOutcome(body))
  }

  /** Its init has ended. */
  gone(): void {
    this.#isGone = true
    if (this.#run === undefined && this.#early === undefined) this.#endEarly({})
    this.#gone()
  }

  /** The house has ended, and told this of its own start. */
  lose(outcome: Outcome, why: unknown): void {
    this.#run?.end({})
    if (this.#run === undefined) this.#endEarly(outcome, why)
    this.#isGone = true
    this.#gone()
  }

  collect({ command, args, options, limiter, own = {}, input, receivers }: CollectedCommand): FramedProcess {
    const { compiled, write } = this.#house
    const { policy, plan, steps } = compiled
    const { cwd, environment } = perRunOf(policy, plan.start.environment)
    const variables = Object.entries(wholeEnvironment(environment, options.env)).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${value}`],
    )
    const bytes = input === undefined ? undefined : Buffer.from(input)
    const stdin = bytes === undefined ? 'none' : bytes.length <= most.input ? 'whole' : 'open'
    const words = { cwd: options.cwd ?? cwd, args: [command, ...args], variables }
    const frame = runFrame(this.#id, { ...words, stdin, input: stdin === 'whole' ? bytes! : '' })
    if (frame === undefined)
      throw new OptionError(`args: with env and cwd more than a pool takes, ${most.words} words or ${most.body} bytes`)
    const limits = this.#rlimits(own).map(({ name, soft, hard }) => limitFrame(this.#id, rlimits[name], soft, hard))
    const asked = new GateCommand(this.#id, write)
    const given = stdin === 'open' ? new GateInput(asked) : undefined
    const limited = limiter?.begin()
    const { wallTime } = limiter?.limits ?? {}
    let late = false
    const end = () => this.#end()
    const run = new FramedRun({
      ...{ command, args, options, limiter, limited, end },
      streams: (meter) => ({
        outputs: receivers.map((receiver, index) => meter(index + 1, receiver)),
        ...(given === undefined ? {} : { input: given }),
      }),
      steps: () => steps,
      reached: () => (late ? 'wallTime' : undefined),
    })
    const timer =
      wallTime === undefined || wallTime >= 2 ** 31
        ? undefined
        : setTimeout(() => {
            late = true
            end()
          }, wallTime)
    const over = () => clearTimeout(timer)
    run.result.then(over, over)
    this.#run = run
    if (this.#early !== undefined || this.#isGone) run.end(this.#early ?? {})
    else write(Buffer.concat([...limits, frame]))
    // A command need not read it.
    given?.on('error', () => {}).end(bytes)
    return { kill: (signal) => (signal === 'SIGKILL' ? run.byCaller() : false), result: run.result }
  }

  spawn(): undefined {
    return undefined
  }

  #rlimits(own: Own) {
    const { policy, base } = this.#house
    return own.limits === undefined ? [] : rlimitsOfOwn(policy, base, own)
  }

  async #writeFile({ path, content, mode }: InlineFile): Promise<void> {
    for (const frame of fileFrames(this.#id, path, Buffer.from(content as Uint8Array), mode)) {
      await this.#allWritten(mostUnwritten)
      this.#unwritten.push({ path, size: frame.length })
      this.#house.write(frame)
    }
  }

  /** Waits until at most so many bytes are on their way. @throws {SandboxError} for a file that cannot be written */
  async #allWritten(but: number): Promise<void> {
    while (this.#early === undefined && this.#unwritten.reduce((sum, { size }) => sum + size, 0) > but)
      await new Promise<void>((resolve) => (this.#written = resolve))
    if (this.#early === undefined) return
    const [first] = this.#unwritten
    throw await this.#error(this.#early, new HostError('the sandbox has ended while a file was written'), first?.path)
  }

  #endEarly(outcome: Outcome, why: unknown = new HostError('the sandbox has ended while it was made')): void {
    this.#early ??= outcome
    this.#written?.()
    this.#error(outcome, why).then(this.#reject, this.#reject)
  }

  async #error({ failure }: Outcome, otherwise: unknown, path?: string): Promise<unknown> {
    if (failure === undefined) return otherwise
    const { failureError } = await import('../run/failure.js')
    return failureError(failure, this.#house.compiled.steps, { takeCommand: path })
  }

  /** Ends all in it. False: it is over. */
  #end(): boolean {
    if (this.#isGone) return false
    this.#house.write(frameAbout(this.#id, 'signal', endSignal))
    setTimeout(() => {
      if (!this.#isGone) this.#house.write(frameAbout(this.#id, 'signal', signals.SIGKILL))
    }, patience).unref()
    return true
  }
}
