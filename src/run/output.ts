/** Limits of output: counts what the payload writes, passes on exactly the limit, and tells when there was more. */
import type { Limits } from '../policy/limits.js'
import type { Receiver } from './streams.js'
import type { OutputStream } from './verdict.js'

export class OutputMeter {
  readonly #room: Record<OutputStream, number>
  readonly #limits: Record<OutputStream, number | undefined>
  readonly #tooMuch: () => void
  /** The limit that was written beyond first. */
  exceeded: { readonly stream: OutputStream; readonly limit: number } | undefined

  constructor({ output, stdout, stderr }: Limits, tooMuch: () => void) {
    this.#limits = { both: output, stdout, stderr }
    this.#room = { both: output ?? Infinity, stdout: stdout ?? Infinity, stderr: stderr ?? Infinity }
    this.#tooMuch = tooMuch
  }

  /** What of a chunk lies within the limits. */
  admit(stream: 'stdout' | 'stderr', chunk: Buffer): Buffer {
    const room = Math.min(this.#room[stream], this.#room.both)
    const admitted = chunk.subarray(0, room)
    this.#room[stream] -= admitted.length
    this.#room.both -= admitted.length
    if (chunk.length > room) this.#exceed(this.#room[stream] <= this.#room.both ? stream : 'both')
    return admitted
  }

  #exceed(stream: OutputStream): void {
    if (this.exceeded !== undefined) return
    this.exceeded = { stream, limit: this.#limits[stream]! }
    // What comes now, from a process that is still dying, is beyond the limit on either stream.
    this.#room.both = 0
    this.#tooMuch()
  }

  /** A receiver that hands on to another what is admitted. */
  metered(stream: 'stdout' | 'stderr', to: Receiver): Receiver {
    return {
      take: (bytes) => {
        const admitted = this.admit(stream, bytes)
        return admitted.length === 0 || to.take(admitted)
      },
      end: () => to.end(),
    }
  }
}
