/** What a program may change and ask of the network of its open sandbox. */
import * as v from 'valibot'
import type { NetworkSummary } from '../network/networkEvents.js'
import { parseOptions } from '../policy/check.js'
import type { Destination } from '../policy/networkRules.js'
import { destination } from '../policy/networkSchema.js'
import { object } from '../text/shapes.js'
import type { NetworkBeside } from './networkBeside.js'

const schema = object({ destinations: v.array(destination) })

/** The network by name of an open sandbox. */
export class BoxNetwork {
  readonly #beside: NetworkBeside

  /** @internal */
  constructor(beside: NetworkBeside) {
    this.#beside = beside
  }

  /** Ports of the host at which its servers are reached, in the order of `publish`. */
  get ports(): readonly number[] {
    return this.#beside.ports
  }

  /**
   * Its programs may reach these too, from when this resolves: destinations as in a policy.
   * @throws {OptionError} for what is no destination
   * @throws {HostError} when it has ended
   */
  async allow(destinations: readonly string[]): Promise<void> {
    return this.#beside.allow(parse(destinations))
  }

  /**
   * Its programs may not reach these any more; connections to them are reset.
   * @throws {OptionError} for what is no destination
   */
  async deny(destinations: readonly string[]): Promise<void> {
    return this.#beside.deny(parse(destinations))
  }

  /** What was refused until now, and what went through. */
  async summary(): Promise<NetworkSummary> {
    return this.#beside.summary()
  }
}

const parse = (destinations: readonly string[]): readonly Destination[] =>
  parseOptions(schema, { destinations }).destinations
