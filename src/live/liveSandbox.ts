/** The library's face: a sandbox whose commands each have one of their own, or which is opened, and entered. */
import { tellingShortage } from '../kernel/shortage.js'
import { type AcceptedPolicy, acceptedLater } from '../policy/check.js'
import { currentDirectory } from '../policy/path.js'
import type { StrictPolicy } from '../policy/schema.js'
import { checkOptions, openOptions } from '../run/runOptions.js'
import { Sandbox as OneShot } from '../run/sandbox.js'
import type { Box } from './box.js'

/** How a sandbox is opened. */
export interface OpenOptions {
  /**
   * A name, by which other programs find it, and `vial exec` enters it. It then outlives this process, unless it is closed. Default:
   * none, and it ends with this process at the latest.
   */
  readonly name?: string
}

/** A policy that is compiled once and runs any number of commands, each in a sandbox of its own, or all in one that is open. */
export class Sandbox extends OneShot {
  readonly #policy: () => AcceptedPolicy
  readonly #base: string

  /** @internal */
  constructor(policy: () => AcceptedPolicy, base: string) {
    super(policy, base)
    this.#policy = policy
    this.#base = base
  }

  /**
   * Opens one sandbox, empty, that commands enter until it is closed: `await using box = await sandbox(policy).open()`.
   * @throws {VialError} when it cannot be made
   */
  async open(options: OpenOptions = {}): Promise<Box> {
    checkOptions(options, openOptions)
    const { name } = options
    if (name === undefined) {
      const { openSandbox } = await import('./openSandbox.js')
      return tellingShortage(() => openSandbox(this.#policy(), this.#base))
    }
    const { startSandbox } = await import('./startSandbox.js')
    await tellingShortage(() => startSandbox({ name, policy: this.#policy(), base: this.#base }))
    return Sandbox.attach(name)
  }

  /**
   * The sandbox of that name, which another program may have started, as `vial start` does.
   * @throws {VialError} when there is none that runs
   */
  static async attach(name: string): Promise<Box> {
    const { attach } = await import('./attachSandbox.js')
    return tellingShortage(async () => attach(name))
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current directory. */
export function sandbox(policy: StrictPolicy, base = currentDirectory()): Sandbox {
  return new Sandbox(acceptedLater(policy), base)
}
