/** The standard streams of a command that a gate runs: they come and go in frames. */
import { Writable } from 'node:stream'
import { signals } from '../kernel/signals.js'
import { type frameType, most } from '../launcher/frame.js'
import type { Receiver, Source } from '../run/streams.js'
import { frameAbout, inputFrame } from './frames.js'
import { signalNamed } from './signalSandbox.js'

const ofGroup = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT', 'SIGSTOP', 'SIGCONT'])

/** One command, as the gate is told of it. */
export class GateCommand {
  constructor(
    readonly id: number,
    readonly write: (bytes: Buffer) => void,
  ) {}

  tell(type: keyof typeof frameType, detail?: number): void {
    this.write(frameAbout(this.id, type, detail))
  }

  /** As a monitor hands it on: relayingMonitor.ts. @throws {OptionError} when there is no such signal */
  signal(name: NodeJS.Signals): void {
    this.tell(ofGroup.has(name) ? 'signalGroup' : 'signal', signals[signalNamed(name)])
  }
}

/** What it writes to one descriptor. */
export class GateOutput implements Source, Receiver {
  readonly #command: GateCommand
  readonly #fd: number
  readonly #receiver: Receiver
  #paused = false
  #over = false
  #resolve: (() => void) | undefined

  constructor(command: GateCommand, fd: number, receiver: Receiver) {
    this.#command = command
    this.#fd = fd
    this.#receiver = receiver
  }

  /** From the gate. Some more may come until it knows of a pause. */
  take(bytes: Buffer): boolean {
    if (this.#over || this.#receiver.take(bytes) || this.#paused) return true
    this.#paused = true
    this.#command.tell('pause', this.#fd)
    return true
  }

  end(): void {
    if (this.#over) return
    this.#finished()
    this.#receiver.end()
  }

  resume(): void {
    if (this.#over || !this.#paused) return
    this.#paused = false
    this.#command.tell('resume', this.#fd)
  }

  close(): void {
    if (this.#over) return
    this.#finished()
    this.#command.tell('close', this.#fd)
  }

  async ended(): Promise<void> {
    if (!this.#over) await new Promise<void>((resolve) => (this.#resolve = resolve))
  }

  /** The gate hands on all that there is before it tells the end. */
  finish(): void {
    this.end()
  }

  #finished(): void {
    this.#over = true
    this.#resolve?.()
  }
}

/** What it reads as standard input. */
export class GateInput extends Writable {
  readonly #command: GateCommand
  #taken: ((broken: boolean) => void) | undefined

  constructor(command: GateCommand) {
    super()
    this.#command = command
  }

  /** From the gate: there is room for more, or no process reads any more. */
  taken(broken: boolean): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.(broken)
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done)
  }

  override _writev(chunks: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#command.tell('close', 0)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#command.tell('close', 0)
    done(error)
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (bytes.length === 0) {
      done()
      return
    }
    this.#taken = (broken) => {
      if (broken) done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' }))
      else this.#send(bytes.subarray(most.piece), done)
    }
    this.#command.write(inputFrame(this.#command.id, bytes.subarray(0, most.piece)))
  }
}
