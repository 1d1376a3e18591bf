/** Which name each address inside stands for. Exact names of rules have theirs from the start; others get one when they are asked for. */
import type { IpAddress } from '../policy/ipAddress.js'
import { type FakeAddresses, fakeAddresses, fakeIndex, mostNames } from '../policy/networkAddresses.js'

export interface NameTableOptions {
  /** How many names there are at the most. */
  readonly most?: number
  /** Milliseconds in which a name that was asked for keeps its address, however many others are asked for. */
  readonly keep?: number
  readonly now?: () => number
}

interface Row {
  readonly name: string
  readonly index: number
  /** Until then at least, no other name gets its address. */
  until: number
}

export class NameTable {
  readonly #most: number
  readonly #keep: number
  readonly #now: () => number
  readonly #names: (string | undefined)[]
  readonly #fixed: Map<string, number>
  /** Those that were asked for, the longest ago first. */
  readonly #asked = new Map<string, Row>()

  /** @param fixed the index of each is that of its addresses */
  constructor(fixed: readonly string[], options: NameTableOptions = {}) {
    this.#most = options.most ?? mostNames
    this.#keep = options.keep ?? 600_000
    this.#now = options.now ?? (() => performance.now())
    this.#names = [...fixed]
    this.#fixed = new Map(fixed.map((name, index) => [name, index]))
  }

  /** The name that an address of the sandbox stands for. */
  nameOf(address: IpAddress): string | undefined {
    const index = fakeIndex(address)
    const name = index === undefined ? undefined : this.#names[index]
    // In use: its address is not given away for now.
    if (name !== undefined && this.#asked.has(name)) this.#use(this.#asked.get(name)!)
    return name
  }

  /** The addresses of a name, which are its own from now on; undefined: all are in use. */
  addressesOf(name: string): FakeAddresses | undefined {
    const index = this.#fixed.get(name) ?? this.#indexOf(name)
    return index === undefined ? undefined : fakeAddresses(index)
  }

  /** The same, for as long as the sandbox lives. */
  fix(name: string): FakeAddresses | undefined {
    const addresses = this.addressesOf(name)
    const row = this.#asked.get(name)
    if (row !== undefined) {
      this.#asked.delete(name)
      this.#fixed.set(name, row.index)
    }
    return addresses
  }

  #indexOf(name: string): number | undefined {
    const row = this.#asked.get(name)
    if (row !== undefined) {
      this.#use(row)
      return row.index
    }
    const index = this.#names.length < this.#most ? this.#names.length : this.#giveUp()
    if (index === undefined) return undefined
    this.#names[index] = name
    this.#use({ name, index, until: 0 })
    return index
  }

  #use(row: Row): void {
    row.until = this.#now() + this.#keep
    this.#asked.delete(row.name)
    this.#asked.set(row.name, row)
  }

  /** The index of the name that was used the longest ago. */
  #giveUp(): number | undefined {
    const [oldest] = this.#asked.values()
    if (oldest === undefined || this.#now() < oldest.until) return undefined
    this.#asked.delete(oldest.name)
    return oldest.index
  }
}
