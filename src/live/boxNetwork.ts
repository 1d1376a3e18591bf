/** What a program may change and ask of the network of its open sandbox. */
import * as v from 'valibot'
import type { NetworkSummary } from '../network/networkEvents.js'
import { parseOptions } from '../policy/check.js'
import type { Destination } from '../policy/networkRules.js'
import { destination } from '../policy/networkSchema.js'
import { object } from '../text/shapes.js'

const schema = object({ destinations: v.array(destination) })

/** Who serves a sandbox's network: this process, or another. */
export interface NetworkControl {
  /** Ports of the host, in the order of what is published by one. */
  readonly ports: readonly number[]
  /** Paths of the host, in the order of what is published by one. */
  readonly paths: readonly string[]
  allow(destinations: readonly Destination[]): Promise<void>
  deny(destinations: readonly Destination[]): Promise<void>
  summary(): Promise<NetworkSummary>
}

/** The network by name of an open sandbox. */
export class BoxNetwork {
  readonly #control: NetworkControl

  /** @internal */
  constructor(control: NetworkControl) {
    this.#control = control
  }

  /** Ports of the host at which its servers are reached, in the order of those of `publish` that have one. */
  get ports(): readonly number[] {
    return this.#control.ports
  }

  /** Unix sockets of the host at which its servers are reached, in the order of those of `publish` that have a path. */
  get paths(): readonly string[] {
    return this.#control.paths
  }

  /**
   * Its programs may reach these too, from when this resolves: destinations as in a policy.
   * @throws {OptionError} for what is no destination
   * @throws {HostError} when it has ended
   */
  async allow(destinations: readonly string[]): Promise<void> {
    return this.#control.allow(parse(destinations))
  }

  /**
   * Its programs may not reach these any more; connections to them are reset.
   * @throws {OptionError} for what is no destination
   */
  async deny(destinations: readonly string[]): Promise<void> {
    return this.#control.deny(parse(destinations))
  }

  /** What was refused until now, and what went through. */
  async summary(): Promise<NetworkSummary> {
    return this.#control.summary()
  }
}

const parse = (destinations: readonly string[]): readonly Destination[] =>
  parseOptions(schema, { destinations }).destinations
