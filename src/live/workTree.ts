/** A directory of the host that the commands of a box write to without changing it: over it lies a layer, which is committed or dropped. */
import { realpathSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { cacheDirectory } from '../cache/cacheDirectory.js'
import { systemFault } from '../kernel/systemError.js'
import { type AcceptedPolicy, acceptPolicy } from '../policy/check.js'
import { currentDirectory, isWithin, normal } from '../policy/path.js'
import type { StrictEntry } from '../policy/schema.js'
import { attempt } from '../text/attempt.js'
import { Fault, HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import type { BoxFiles } from './boxFiles.js'
import { placed } from './filesOptions.js'
import { HostDirectory, hostFailure, inDirectory } from './hostDirectory.js'
import { type Change, type Found, findChanges, type HostStatus, pathOf, typeOf } from './workChanges.js'
import { commitJournaled } from './workJournal.js'
import { makeLayer, removeLayer, type WorkLayer } from './workLayer.js'
import {
  type CommitOptions,
  checked,
  commitSchema,
  type DiffOptions,
  diffSchema,
  type WorkOptions,
  workSchema,
} from './workOptions.js'
import { markProtected, protectedNames } from './workProtection.js'

/** Milliseconds, for one question. */
const timeout = 60_000
const committable: readonly Change['type'][] = ['file', 'directory', 'link']

const isSpecial = ({ kind, type }: Change) => kind !== 'removed' && !committable.includes(type)
/** Whether it can be: nothing that is protected, and of what is added no device, FIFO or socket. */
export const isCommittable = (change: Change): boolean => !change.protected && !isSpecial(change)

export class WorkTree {
  readonly #layer: WorkLayer
  readonly #real: string
  readonly #inside: string
  readonly #protected: readonly string[]
  /** The directory, and when its layer was made, by the clock that files have. */
  readonly #identity: { readonly dev: bigint; readonly ino: bigint }
  readonly #since: bigint
  /** When this process itself has written, by the path. */
  readonly #committed = new Map<string, bigint>()

  /**
   * @throws {OptionError} when it is no directory
   * @throws {HostError} when there is no place for a layer
   */
  constructor(options: WorkOptions, base = currentDirectory()) {
    const asked = checked('work', workSchema, options)
    const path = resolve(base, asked.path)
    try {
      this.#real = realpathSync(path)
    } catch (error) {
      throw OptionError.at(new Fault('work.path', printable(systemFault(error))))
    }
    const status = statSync(this.#real, { bigint: true })
    if (!status.isDirectory()) throw OptionError.at(new Fault('work.path', 'must be a directory'))
    // The kernel takes no layer that lies in what it is over.
    const cache = cacheDirectory()
    if (isWithin(attempt(() => realpathSync(cache)) ?? cache, this.#real))
      throw new HostError(`the layer would lie in ${printable(path)} itself`, {
        hint: 'set VIAL_CACHE to a directory of yours outside of it',
      })
    this.#inside = normal(asked.inside ?? path)
    this.#protected = asked.protect ?? protectedNames
    this.#identity = { dev: status.dev, ino: status.ino }
    this.#layer = makeLayer(Number(status.mode))
    this.#since = statSync(this.#layer.upper, { bigint: true }).ctimeNs
  }

  /** The policy with the layer, over all that lies there. */
  over({ given, checked }: AcceptedPolicy): AcceptedPolicy {
    // There the kernel may leave the content of a file in the lower directory: metacopy of overlay, which user namespaces lack.
    if (checked.namespaces?.user === 'host')
      throw OptionError.at(new Fault('work', 'needs a user namespace: not with namespaces.user "host"'))
    return acceptPolicy({ ...given, filesystem: [...(given.filesystem ?? []), this.#entry()] })
  }

  /** A policy that shows the layer, to that one's user, and nothing else: of a box in which no command runs. */
  alone({ given: { identity } }: AcceptedPolicy): AcceptedPolicy {
    return acceptPolicy({ filesystem: [this.#entry()], ...(identity === undefined ? {} : { identity }) })
  }

  #entry(): StrictEntry {
    const { upper, work } = this.#layer
    return { overlay: this.#inside, lower: [this.#real], upper: { upper, work } }
  }

  async diff(files: BoxFiles, options: DiffOptions): Promise<Change[]> {
    const { text = false } = checked('diff', diffSchema, options)
    return this.#during('compare', async (host, upper) => {
      const found = await this.#find(files, host, upper)
      if (!text) return found.map(({ change }) => change)
      return (await import('./workText.js')).withTexts(host, upper, found)
    })
  }

  async commit(files: BoxFiles, options: CommitOptions): Promise<Change[]> {
    const { only, conflict = 'refuse' } = checked('commit', commitSchema, options)
    return this.#during('commit', async (host, upper) => {
      const chosen = choose(await this.#find(files, host, upper), only)
      const special = chosen.filter(({ change }) => isSpecial(change))
      if (special.length > 0)
        throw new HostError(
          `only files, directories and links are committed: ${listed(special, ({ type }) => ` is a ${type}`)}`,
          { hint: 'leave them out by "only", or remove them in the box' },
        )
      const changed = conflict === 'overwrite' ? [] : chosen.filter((one) => this.#isConflict(one))
      if (changed.length > 0)
        throw new HostError(`changed on the host since the box was opened: ${listed(changed)}`, {
          code: 'ESTALE',
          hint: 'nothing was written',
        })
      const sides = { host, upper, overwrites: conflict === 'overwrite' }
      const top = { path: this.#real, ...this.#identity }
      this.#committing(host, chosen, () => commitJournaled(this.#layer.path, top, sides, 'upper', chosen))
      return chosen.map(({ change }) => change)
    })
  }

  /** Of what has ended. What cannot be removed stays for `vial gc`. */
  remove(): void {
    attempt(() => removeLayer(this.#layer.path))
  }

  /** A directory that stays one is changed by each new name in it, and takes part in no conflict. */
  #isConflict({ host, names, change, isSure }: Found): boolean {
    if (!isSure) return true
    if (host === undefined || (change.kind === 'changed' && change.type === 'directory' && isDirectory(host)))
      return false
    return this.#isLater(names, host)
  }

  #isLater(names: readonly Buffer[], { ctimeNs }: HostStatus): boolean {
    return ctimeNs > this.#since && this.#committed.get(keyOf(names)) !== ctimeNs
  }

  /** What is changed by this process itself is no conflict of the next commit: the path, and the directory that it is in. */
  #committing(host: HostDirectory, found: readonly Found[], action: () => void): void {
    const status = (names: readonly Buffer[]) =>
      attempt(() => inDirectory(host, names, (above, name) => above.status(name)))
    const paths = new Map<string, readonly Buffer[]>()
    for (const { names } of found)
      for (const path of [names, names.slice(0, -1)]) if (path.length > 0) paths.set(keyOf(path), path)
    const own = new Set(found.map(({ names }) => keyOf(names)))
    for (const [key, path] of paths) {
      const before = status(path)
      if (!own.has(key) && before !== undefined && this.#isLater(path, before)) paths.delete(key)
    }
    try {
      action()
    } finally {
      for (const [key, path] of paths) {
        const after = status(path)
        if (after !== undefined) this.#committed.set(key, after.ctimeNs)
      }
    }
  }

  async #find(files: BoxFiles, host: HostDirectory, upper: HostDirectory): Promise<readonly Found[]> {
    const has = async (names: readonly Buffer[]) => {
      const path = pathOf([Buffer.from(this.#inside), ...names])
      try {
        await files.ask('look at', path.toString(), timeout, { operation: 'stat', ...placed(path) })
        return true
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
        throw error
      }
    }
    const found = await findChanges({ host, upper, isLater: (...asked) => this.#isLater(...asked), has })
    return markProtected(found, this.#protected)
  }

  async #during<Value>(
    verb: string,
    action: (host: HostDirectory, upper: HostDirectory) => Promise<Value>,
  ): Promise<Value> {
    const open: HostDirectory[] = []
    try {
      for (const path of [this.#real, this.#layer.upper]) open.push(HostDirectory.at(path))
      const [host, upper] = open
      const { dev, ino } = host!.own()
      if (dev !== this.#identity.dev || ino !== this.#identity.ino)
        throw new HostError(`${printable(this.#real)} is another directory than when the box was opened`)
      return await action(host!, upper!)
    } catch (error) {
      throw hostFailure(`${verb} ${this.#real} with its layer`, error)
    } finally {
      for (const directory of open) directory.close()
    }
  }
}

const keyOf = (names: readonly Buffer[]) => pathOf(names).toString('latin1')

/** With the directories that they need. What is protected is left out, and refused where it is asked for by its own path. */
function choose(all: readonly Found[], only: readonly string[] | undefined): readonly Found[] {
  const found = all.filter(({ change }) => !change.protected)
  if (only === undefined) return found
  const refused = all.filter(({ change }) => change.protected && only.includes(change.path))
  if (refused.length > 0)
    throw new HostError(`protected, and never committed: ${listed(refused)}`, {
      code: 'EPERM',
      hint: 'copy it by hand, or open the box with a shorter list of what work.protect names',
    })
  const unknown = only.find((path) => !found.some(({ change }) => isAt(change.path, path)))
  if (unknown !== undefined)
    throw OptionError.at(new Fault('only', `${JSON.stringify(printable(unknown))} is no path of the diff`))
  return found.filter(({ change, host }) =>
    only.some(
      (path) => isAt(change.path, path) || (becomesDirectory(change, host) && path.startsWith(`${change.path}/`)),
    ),
  )
}

const isAt = (path: string, above: string) => path === above || path.startsWith(`${above}/`)
const isDirectory = (status: HostStatus) => typeOf(status) === 'directory'
const becomesDirectory = ({ kind, type }: Change, host: Found['host']) =>
  kind !== 'removed' && type === 'directory' && (host === undefined || !isDirectory(host))

const mostListed = 20

function listed(found: readonly Found[], about: (change: Change) => string = () => ''): string {
  const said = found.slice(0, mostListed).map(({ change }) => printable(change.path) + about(change))
  return [...said, ...(found.length > mostListed ? [`and ${found.length - mostListed} more`] : [])].join(', ')
}
