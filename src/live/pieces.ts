/** Frames that come in any pieces, from a process of vial's own: a head, which says how long the body behind it is. */
import { HostError } from '../text/error.js'

export interface Head {
  /** Bytes. */
  readonly size: number
  /** Where it says the length of the body, a little-endian u32. */
  readonly length: number
  /** Bytes of a body. */
  readonly most: number
}

/** Puts them together. */
export class Pieces {
  readonly #head: Head
  readonly #take: (head: Buffer, body: Buffer) => void
  #rest: Buffer | undefined

  /** @param take gets each frame; both are good until it returns */
  constructor(head: Head, take: (head: Buffer, body: Buffer) => void) {
    this.#head = head
    this.#take = take
  }

  /** @throws {HostError} for a body that is too long */
  read(piece: Buffer): void {
    const { size, length, most } = this.#head
    let bytes = this.#rest === undefined ? piece : Buffer.concat([this.#rest, piece])
    while (bytes.length >= size) {
      const end = size + bytes.readUInt32LE(length)
      if (end - size > most) throw new HostError(`a frame of ${end - size} bytes came`)
      if (bytes.length < end) break
      this.#take(bytes.subarray(0, size), bytes.subarray(size, end))
      bytes = bytes.subarray(end)
    }
    this.#rest = bytes.length === 0 ? undefined : bytes
  }
}
