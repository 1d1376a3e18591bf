/** The library's face: a sandbox whose commands each have one of their own, or which is opened, and entered. */
import { tellingShortage } from '../kernel/shortage.js'
import { type AcceptedPolicy, acceptedLater } from '../policy/check.js'
import { currentDirectory } from '../policy/path.js'
import type { StrictPolicy } from '../policy/schema.js'
import { checkOptions, openOptions, removeOptions } from '../run/runOptions.js'
import { Sandbox as OneShot } from '../run/sandbox.js'
import type { Box } from './box.js'
import { networkBeside } from './networkBeside.js'
import type { Pool } from './pool.js'
import type { PoolOptions } from './poolOptions.js'
import type { WorkOptions } from './workOptions.js'

/** How a sandbox is opened. */
export interface OpenOptions {
  /**
   * A name, by which other programs find it, and `vial exec` enters it. It then outlives this process, unless it is closed. Default:
   * none, and it ends with this process at the latest.
   */
  readonly name?: string
  /**
   * A directory of the host that its commands write to without changing it: {@link Box.diff} tells what they have changed, {@link Box.commit}
   * writes that to the host, and what was not committed is dropped when it ends. With a name it is kept until that is removed: `vial diff`
   * and `vial commit` take it then.
   */
  readonly work?: WorkOptions | undefined
}

/** How what is kept of a named sandbox is removed. */
export interface RemoveOptions {
  /** Also of one that runs: it is ended first. Default: that is an error. */
  readonly force?: boolean | undefined
}

/** A policy that is compiled once and runs any number of commands, each in a sandbox of its own, or all in one that is open. */
export class Sandbox extends OneShot {
  readonly #policy: () => AcceptedPolicy
  readonly #base: string

  /** @internal */
  constructor(policy: () => AcceptedPolicy, base: string) {
    super(policy, base, { beside: networkBeside })
    this.#policy = policy
    this.#base = base
  }

  /**
   * Opens one sandbox, empty, that commands enter until it is closed: `await using box = await sandbox(policy).open()`.
   * @throws {VialError} when it cannot be made
   */
  async open(options: OpenOptions = {}): Promise<Box> {
    checkOptions(options, openOptions)
    const { name, work } = options
    if (work !== undefined && name === undefined) {
      const [{ openInLayer }, { WorkTree }] = await Promise.all([import('./openSandbox.js'), import('./workTree.js')])
      return tellingShortage(() =>
        openInLayer(WorkTree.over(work, this.#base), (tree) => tree.shownIn(this.#policy()), this.#base),
      )
    }
    if (name === undefined) {
      const { openSandbox } = await import('./openSandbox.js')
      return tellingShortage(() => openSandbox(this.#policy(), this.#base))
    }
    const { openNamed } = await import('./openNamed.js')
    await tellingShortage(() => openNamed({ name, policy: this.#policy(), base: this.#base }, work))
    return Sandbox.attach(name)
  }

  /**
   * Builds sandboxes ahead, each for one command: `await using pool = await sandbox(policy).pool()`. It is there when the first of them
   * is ready.
   * @throws {VialError} when none can be made
   */
  async pool(options: PoolOptions = {}): Promise<Pool> {
    const [{ parsePool }, { Pool }, { slotsOf }] = await Promise.all([
      import('./poolOptions.js'),
      import('./pool.js'),
      import('./slotsOf.js'),
    ])
    const checked = parsePool(options)
    return tellingShortage(async () => new Pool(slotsOf(this.#policy(), this.#base), checked).opened())
  }

  /**
   * The sandbox of that name, which another program may have started, as `vial start` does.
   * @throws {VialError} when there is none that runs
   */
  static async attach(name: string): Promise<Box> {
    const { attach } = await import('./attachSandbox.js')
    return tellingShortage(async () => attach(name))
  }

  /**
   * Removes what is kept of the sandbox of that name, as `vial rm` does: how it ended, its log, and what of its work tree was not committed.
   * @param options.force also one that runs, which is ended first
   * @throws {VialError} when there is none of the name, or it runs
   */
  static async remove(name: string, options: RemoveOptions = {}): Promise<void> {
    checkOptions(options, removeOptions)
    const { removeNamed } = await import('./removeNamed.js')
    return tellingShortage(() => removeNamed(name, options.force === true))
  }
}

/** A sandbox of this policy. Relative host paths start from `base`, by default the current directory. */
export function sandbox(policy: StrictPolicy, base = currentDirectory()): Sandbox {
  return new Sandbox(acceptedLater(policy), base)
}
