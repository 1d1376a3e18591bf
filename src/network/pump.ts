/**
 * One direction of a connection: what one socket reads, the other writes. It reads into one buffer again and again, for most writes are
 * done when `write` returns; where one is not, it reads no more until it is. So a stream costs no memory but this buffer, and there
 * is none to collect. Node's own pipe() makes a buffer of 64 KiB for each read, and reaches half of the speed: bench/README.md.
 */
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { handOnEnd } from './handOnEnd.js'

/** Of a connection that says little, and of one that has much to say: reads of a megabyte take a fifth of the system calls. */
const smallest = 2 ** 14
const largest = 2 ** 20
/** So many reads in a row that would fit the smallest make it that again. */
const manySmall = 64

/** Small buffers that are kept for the connections to come: one that is new costs a collection a part of its time. */
const mostKept = 64

/** The buffers of all connections together. Large ones are limited: beyond, streams go on with what they have. */
export class BufferBudget {
  #left: number
  readonly #kept: Buffer[] = []

  constructor(bytes = 2 ** 25) {
    this.#left = bytes
  }

  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  give(bytes: number): void {
    this.#left += bytes
  }

  smallest(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(smallest)
  }

  /** Of one that nothing is written from any more. */
  keep(buffer: Buffer): void {
    if (buffer.length === smallest && this.#kept.length < mostKept) this.#kept.push(buffer)
  }
}

/** Counts what is relayed. */
export interface Meter {
  /** Milliseconds to wait before more is read. */
  spend(bytes: number): number
}

export class Pump {
  /** For the socket that is read from. */
  readonly onread: OnReadOpts
  /** How many went this way. */
  bytes = 0
  readonly #budget: BufferBudget
  readonly #meter: Meter
  #buffer: Buffer
  #from: Socket | undefined
  #to: Socket | undefined
  #small = 0
  #isWriting = false
  #pause: NodeJS.Timeout | undefined

  constructor(budget: BufferBudget, meter: Meter) {
    this.#budget = budget
    this.#buffer = budget.smallest()
    this.#meter = meter
    this.onread = { buffer: () => this.#buffer, callback: (size) => this.#take(size) }
  }

  /** Reads from now on. */
  start(from: Socket, to: Socket): void {
    this.#from = from
    this.#to = to
    // What was read before is written first.
    handOnEnd(from, to)
    from.resume()
  }

  /** Of one that was made without {@link onread}: what it has read comes as it is. */
  listen(from: Socket): void {
    from.on('data', (bytes: Buffer) => {
      if (!this.#carry(bytes)) from.pause()
    })
    from.pause()
  }

  /** Behind the end of both sockets: none writes any more. */
  close(): void {
    clearTimeout(this.#pause)
    this.#budget.keep(this.#buffer)
    this.#resize(smallest)
  }

  /** @returns whether more may be read at once, into the same buffer */
  #take(size: number): boolean {
    const goesOn = this.#carry(this.#buffer.subarray(0, size))
    this.#fit(size)
    return goesOn
  }

  /** @returns whether these bytes are in use no more, and others may come */
  #carry(bytes: Buffer): boolean {
    const to = this.#to!
    if (to.destroyed || !to.writable) return false
    this.bytes += bytes.length
    to.write(bytes, this.#written)
    // Not all was taken: the buffer is in use until it is.
    this.#isWriting = to.writableLength > 0
    const wait = this.#meter.spend(bytes.length)
    if (wait > 0) this.#pause = setTimeout(this.#paused, wait).unref()
    return !this.#isWriting && this.#pause === undefined
  }

  readonly #written = () => {
    if (!this.#isWriting || this.#to!.writableLength > 0) return
    this.#isWriting = false
    this.#resume()
  }

  readonly #paused = () => {
    this.#pause = undefined
    this.#resume()
  }

  #resume(): void {
    if (!this.#isWriting && this.#pause === undefined && !this.#from!.destroyed) this.#from!.resume()
  }

  /** The buffer of the next read. The one before may still be written from: it is left as it is. */
  #fit(size: number): void {
    const { length } = this.#buffer
    this.#small = size <= smallest / 2 ? this.#small + 1 : 0
    if (size === length && length < largest) this.#resize(Math.min(largest, 4 * length))
    else if (this.#small >= manySmall && length > smallest) this.#resize(smallest)
  }

  #resize(length: number): void {
    const more = length - this.#buffer.length
    if (more === 0 || (more > 0 && !this.#budget.take(more))) return
    if (more < 0) this.#budget.give(-more)
    this.#buffer = Buffer.allocUnsafeSlow(length)
  }
}

/**
 * The same connection as another socket, which reads into a buffer of ours: sockets that a server accepts have no such option. The
 * one that was accepted has not read yet (`pauseOnConnect`).
 */
export function withOnread(accepted: Socket, onread: OnReadOpts): Socket {
  const held = accepted as unknown as { _handle: object | null }
  const handle = held._handle
  held._handle = null
  accepted.destroy()
  // Types know neither `handle`, by which Node's own servers make sockets, nor `onread` but where a socket connects.
  const options: SocketConstructorOpts & { handle: object | null; onread: OnReadOpts; pauseOnCreate: true } = {
    ...{ handle, onread, pauseOnCreate: true },
    ...{ allowHalfOpen: true, readable: true, writable: true },
  }
  return new Socket(options)
}
