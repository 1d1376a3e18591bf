/**
 * A pool: sandboxes that were built ahead and wait, each for one command.
 *
 * How this file thinks. A slot is made, waits, runs one command, and is ended; nothing leads back. Commands wait for a slot in the order
 * in which they came, and at most `max` run. What takes time is done behind a result: the slot is ended, and the next one is made.
 * Only where a command waits and no slot does is one made at once.
 */
import { now } from '../run/conclude.js'
import { AbortError, refuseAborted } from '../run/result.js'
import { checkCommand } from '../run/runOptions.js'
import type { RunResult } from '../run/sandbox.js'
import { noUsage } from '../run/status.js'
import { HostError } from '../text/error.js'
import { type PoolOptions, type PoolRunOptions, parseFiles, poolRunOptions, refuseCore } from './poolOptions.js'
import type { Slot, SlotMaker } from './slots.js'

/** Counts of a pool. */
export interface PoolMetrics {
  /** Slots that wait for a command. */
  readonly warm: number
  /** Slots that are being made. */
  readonly making: number
  /** Commands that run. */
  readonly running: number
  /** Commands that wait for a slot. */
  readonly waiting: number
  /** Commands that got a slot, and whose run is over: those that failed or were ended, too. */
  readonly served: number
  /** Slots that could not be made. */
  readonly failed: number
  /** Slots that ended while they waited, and were replaced. */
  readonly lost: number
}

/** Runs a command in a sandbox of its own that waits for it. With `encoding: 'buffer'` it collects bytes, else text. */
export interface PoolRun {
  (
    command: string,
    args: readonly string[],
    options: PoolRunOptions & { readonly encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>
  (
    command: string,
    args?: readonly string[],
    options?: PoolRunOptions & { readonly encoding?: 'utf8' },
  ): Promise<RunResult>
  (command: string, args?: readonly string[], options?: PoolRunOptions): Promise<RunResult<string | Buffer>>
}

/** A command that waits for a slot. */
interface Waiting {
  take(slot: Slot): void
  fail(error: unknown): void
}

/** So many slots in a row that fail are no accident. */
const mostFailures = 3
/** Milliseconds. A slot that ends before could as well not have been made. */
const young = 100
/** Milliseconds that the making of the next slot waits for a result, so that the two do not compete. */
const patience = 10

/** Sandboxes of one policy that are built ahead. Each runs one command and is then ended, with all that this has left behind. */
export class Pool {
  readonly #maker: SlotMaker
  readonly #size: number
  readonly #max: number
  readonly #warm: Slot[] = []
  readonly #waiting: Waiting[] = []
  readonly #running = new Set<Slot>()
  /** None of these rejects. */
  readonly #making = new Set<Promise<void>>()
  readonly #ending = new Set<Promise<void>>()
  readonly #counts = { served: 0, failed: 0, lost: 0 }
  #failures = 0
  #refilling: NodeJS.Timeout | undefined
  #draining = false
  #opened: (() => void) | undefined
  #quiet: (() => void) | undefined
  /** Why it runs nothing any more. */
  #over: { readonly error: unknown } | undefined
  #closed: Promise<void> | undefined

  /**
   * Runs a command to its end and collects its output, as {@link Sandbox.run} does, in a sandbox that is ready. It waits while `max`
   * others run; `timeout` begins behind that.
   */
  readonly run: PoolRun

  /** @internal */
  constructor(maker: SlotMaker, { size, max }: Required<PoolOptions>) {
    this.#maker = maker
    this.#size = size
    this.#max = max
    this.run = ((command: string, args: readonly string[] = [], options: PoolRunOptions = {}) =>
      this.#run(command, args, options)) as PoolRun
  }

  /**
   * Makes its first slots, and returns when one of them waits.
   * @throws {VialError} when none can be made
   * @internal
   */
  async opened(): Promise<this> {
    this.#refill()
    await new Promise<void>((resolve) => (this.#opened = resolve))
    if (this.#over === undefined) return this
    const { error } = this.#over
    await this.close()
    throw error
  }

  /** What it has, and what it has done. */
  metrics(): PoolMetrics {
    const [warm, making, running, waiting] = [
      this.#warm.length,
      this.#making.size,
      this.#running.size,
      this.#waiting.length,
    ]
    return { warm, making, running, waiting, ...this.#counts }
  }

  /** Takes no more commands, waits for those that run or wait, and closes. */
  async drain(): Promise<void> {
    this.#draining = true
    if (this.#waiting.length + this.#running.size > 0 && this.#over === undefined)
      await new Promise<void>((resolve) => {
        const before = this.#quiet
        this.#quiet = () => {
          before?.()
          resolve()
        }
      })
    await this.close()
  }

  /** Ends all commands that run, refuses those that wait, and waits until nothing is left. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  /** At the end of an `await using`: {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(command: string, args: readonly string[], options: PoolRunOptions): Promise<RunResult<string | Buffer>> {
    checkCommand(command, args, options, poolRunOptions)
    const { files: given, ...others } = options
    refuseCore(others)
    const files = parseFiles(given)
    const slot = await this.#slotFor(options)
    try {
      return await slot.run({ command, args, options: others, files })
    } finally {
      this.#counts.served++
      this.#running.delete(slot)
      setImmediate(() => this.#end(slot))
      this.#serve()
    }
  }

  async #slotFor({ signal }: PoolRunOptions): Promise<Slot> {
    refuseAborted({ signal })
    if (this.#over !== undefined) throw this.#over.error
    if (this.#draining) throw closed()
    let aborted: (() => void) | undefined
    try {
      return await new Promise<Slot>((take, fail) => {
        const waiting = { take, fail }
        this.#waiting.push(waiting)
        aborted = () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
          fail(new AbortError(signal!.reason, { usage: noUsage, durationMs: 0 }))
          this.#tellQuiet()
        }
        signal?.addEventListener('abort', aborted)
        this.#serve()
      })
    } finally {
      if (aborted !== undefined) signal?.removeEventListener('abort', aborted)
    }
  }

  /** Gives slots to commands that wait, and sees to it that there are more. */
  #serve(): void {
    while (this.#waiting.length > 0 && this.#warm.length > 0 && this.#running.size < this.#max) {
      const slot = this.#warm.shift()!
      this.#running.add(slot)
      this.#failures = 0
      this.#waiting.shift()!.take(slot)
    }
    this.#tellQuiet()
    // What could run now does not wait for a result of another.
    if (this.#waiting.length > 0 && this.#running.size < this.#max) this.#refill()
    else this.#refilling ??= setTimeout(() => this.#refill(), patience)
  }

  #tellQuiet(): void {
    if (this.#waiting.length + this.#running.size === 0) this.#quiet?.()
  }

  #refill(): void {
    clearTimeout(this.#refilling)
    this.#refilling = undefined
    const wanted = this.#draining ? Math.min(this.#waiting.length, this.#size) : this.#size
    while (this.#over === undefined && this.#warm.length + this.#making.size < wanted) {
      const making = this.#maker.make().then(
        (slot) => {
          this.#making.delete(making)
          this.#take(slot)
        },
        (error) => {
          this.#making.delete(making)
          this.#counts.failed++
          this.#failed(error)
        },
      )
      this.#making.add(making)
    }
  }

  #take(slot: Slot): void {
    if (this.#over !== undefined) {
      this.#end(slot)
      return
    }
    const made = now()
    this.#warm.push(slot)
    slot.ended.then(() => this.#lost(slot, now() - made < young))
    this.#opened?.()
    this.#serve()
  }

  /** One that waited has ended. */
  #lost(slot: Slot, early: boolean): void {
    const at = this.#warm.indexOf(slot)
    if (at < 0 || this.#over !== undefined) return
    this.#warm.splice(at, 1)
    this.#counts.lost++
    this.#end(slot)
    if (early) this.#failed(new HostError('a sandbox of the pool has ended while it waited for a command'))
    else this.#serve()
  }

  #failed(error: unknown): void {
    this.#failures++
    if (this.#failures < mostFailures) this.#serve()
    else if (this.#over === undefined) this.#giveUp(error)
  }

  /** From here on nothing is run. */
  #giveUp(error: unknown): void {
    this.#over = { error }
    clearTimeout(this.#refilling)
    for (const { fail } of this.#waiting.splice(0)) fail(error)
    for (const slot of this.#warm.splice(0)) this.#end(slot)
    this.#opened?.()
    this.#tellQuiet()
  }

  #end(slot: Slot): void {
    const ending = slot.close().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  async #close(): Promise<void> {
    if (this.#over === undefined) this.#giveUp(closed())
    for (const slot of this.#running) this.#end(slot)
    while (this.#making.size > 0) await Promise.all(this.#making)
    while (this.#ending.size > 0) await Promise.all(this.#ending)
    await this.#maker.close()
  }
}

const closed = () => new HostError('the pool was closed')
