/** The caller's ends of a payload's pipes, as streams. */
import { closeSync, readSync, writeSync } from 'node:fs'
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { Readable, Writable } from 'node:stream'

/** Gets what a payload writes to one descriptor. */
export interface Receiver {
  /** `bytes` are good until it returns. False: no more for now. */
  take(bytes: Buffer): boolean
  end(): void
}

/** Where the bytes of a stream come from, for one receiver. */
export interface Source {
  /** After a `take` that gave false. */
  resume(): void
  /** No more is wanted. */
  close(): void
  /** Hands on what was written before, and no more. */
  finish(): void
  /** Resolves at the end. */
  ended(): Promise<void>
}

/** One for all, for each read is dealt with before the next. As much as libuv reads at once. */
const scratch = Buffer.allocUnsafeSlow(65536)

/** pipe(7): by default the most that a pipe can hold. */
const largestPipe = 2 ** 20

/** Reads a pipe to its end, or until {@link finish}. */
export class PipeReader implements Source {
  readonly #fd: number
  readonly #receiver: Receiver
  #socket: Socket | undefined
  #ended = false

  constructor(fd: number, receiver: Receiver) {
    this.#fd = fd
    this.#receiver = receiver
  }

  /** Reads what comes, from now on. Nothing is lost before. */
  start(): void {
    if (this.#ended || this.#socket !== undefined) return
    const onread: OnReadOpts = {
      buffer: scratch,
      callback: (size) => this.#receiver.take(scratch.subarray(0, size)),
    }
    // The types know `onread` only where a socket connects.
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd: this.#fd,
      readable: true,
      writable: false,
      onread,
    }
    this.#socket = new Socket(options)
    for (const event of ['end', 'error'] as const) this.#socket.once(event, () => this.#end())
  }

  resume(): void {
    if (!this.#ended) this.#socket?.resume()
  }

  async ended(): Promise<void> {
    this.start()
    if (!this.#ended) await new Promise((resolve) => this.#socket!.once('close', resolve))
  }

  /** What was written before is read, and no more: another process may keep the other end for long. */
  finish(): void {
    if (this.#ended) return
    this.drain()
    this.#end()
  }

  /** Reads what was written before, now. */
  drain(): void {
    if (this.#ended) return
    for (let left = largestPipe; left > 0; ) {
      const size = this.#readNow()
      if (size === 0) break
      left -= size
      this.#receiver.take(scratch.subarray(0, size))
    }
  }

  close(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#socket === undefined) closeSync(this.#fd)
    else this.#socket.destroy()
  }

  #readNow(): number {
    try {
      return readSync(this.#fd, scratch, 0, scratch.length, null)
    } catch {
      // EAGAIN: there is a writer.
      return 0
    }
  }

  #end(): void {
    if (this.#ended) return
    this.close()
    this.#receiver.end()
  }
}

/** Reads a pipe from now on. */
export function readPipe(fd: number, receiver: Receiver): Source {
  const reader = new PipeReader(fd, receiver)
  reader.start()
  return reader
}

/** What the payload reads. Without a descriptor there is no reader. */
export function pipeWriter(fd: number | undefined): Writable {
  return fd === undefined ? new Writable().destroy() : new Socket({ fd, readable: false, writable: true })
}

/** Writes and closes; what the pipe has no room for now is written later. */
export function feed(fd: number, input: string | Uint8Array): Writable | undefined {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input
  let written = 0
  try {
    written = bytes.length === 0 ? 0 : writeSync(fd, bytes)
  } catch {
    // EAGAIN, or a payload that has ended and reads nothing, which is no fault.
  }
  if (written === bytes.length) {
    closeSync(fd)
    return undefined
  }
  const rest = pipeWriter(fd)
  rest.on('error', () => {})
  rest.end(bytes.subarray(written))
  return rest
}

/** What the payload writes, as a stream. */
export class OutputStream extends Readable {
  readonly #source: Source | undefined

  /** @param open begins to read; undefined: there is no writer */
  constructor(open: ((receiver: Receiver) => Source) | undefined) {
    super()
    if (open === undefined) this.push(null)
    else this.#source = open({ take: (bytes) => this.push(Buffer.from(bytes)), end: () => void this.push(null) })
  }

  async ended(): Promise<void> {
    await this.#source?.ended()
  }

  /** Gets no more than was written before. */
  finish(): void {
    this.#source?.finish()
  }

  override _read(): void {
    this.#source?.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source?.close()
    done(error)
  }

  /** Resolves when all listeners have heard all; at once where there is none. */
  async heard(): Promise<void> {
    if (this.readableFlowing === null || this.readableEnded || this.destroyed) return
    // As child_process does at the end of a process.
    this.resume()
    await new Promise((resolve) => this.once('end', resolve).once('close', resolve))
  }
}

/** What the payload writes, in one piece of memory that grows. */
export class Collector implements Receiver {
  readonly #most: number
  readonly #tooMuch: () => void
  #buffer: Buffer = nothing
  #length = 0

  constructor(most: number, tooMuch: () => void) {
    this.#most = most
    this.#tooMuch = tooMuch
  }

  take(bytes: Buffer): boolean {
    const taken = bytes.subarray(0, this.#most - this.#length)
    const length = this.#length + taken.length
    if (length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#most, Math.max(length, 2 * this.#buffer.length)))
      this.#buffer.copy(grown, 0, 0, this.#length)
      this.#buffer = grown
    }
    taken.copy(this.#buffer, this.#length)
    this.#length = length
    if (taken.length < bytes.length) this.#tooMuch()
    return true
  }

  end(): void {}

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}
const nothing = Buffer.alloc(0)
