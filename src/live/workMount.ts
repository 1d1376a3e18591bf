/** Exchanges the overlay of a work tree in a sandbox that runs: launcher/layerStacker.ts does it, in one short process. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { statOf } from '../cgroup/processStat.js'
import { ifSeen } from '../kernel/shortage.js'
import { layerStacker } from '../launcher/layerStacker.js'
import { hostDescriptor, mountAnswer, stageOf } from '../launcher/mountCall.js'
import { startError, startProcess } from '../run/startProcess.js'
import { HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { targetOf } from './enterSandbox.js'
import type { Inspected } from './inspectSandbox.js'
import { runningProcesses } from './members.js'
import { failureOf } from './mountInto.js'
import { ownMounts } from './mountRecords.js'
import { type Mount, mountTable } from './mountTable.js'
import { ownProgram } from './ownPrograms.js'

/** What the new overlay is made of. */
export interface Stacked {
  /** The directory that the layers lie in. */
  readonly home: string
  /** Beneath all. */
  readonly host: string
  readonly place: string
  /** Upper directories of layers that do not change any more, below `home`, the first on top. */
  readonly lower: readonly string[]
  /** The layer that is written to, below `home`. */
  readonly layer: string
  /** A descriptor that what does it keeps open until it is done, whatever becomes of this process. */
  readonly lock?: number | undefined
}

export class WorkMount {
  readonly #sandbox: Inspected
  #init: number | undefined

  constructor(sandbox: Inspected) {
    this.#sandbox = sandbox
  }

  /**
   * @throws {OptionError} when something was mounted in the tree
   * @throws {HostError} with the code EBUSY while a file is open for writing there; then all is as it was
   */
  async stack({ home, host, place, lower, layer, lock }: Stacked): Promise<void> {
    const what = `change the layers of ${place}`
    const before = this.#mounts(what)
    const old = topmost(before, place)
    if (old?.type !== 'overlay') throw new HostError(printable(`cannot ${what}: its overlay is gone`))
    const above = before.find(({ parent }) => parent === old.id)
    if (above !== undefined)
      throw new OptionError(printable(`${above.path} was mounted in the work tree`), { hint: 'unmount it first' })
    const options = [
      `lowerdir=${[...lower, `/proc/self/fd/${hostDescriptor}`].join(':')}`,
      ...[`upperdir=${upperOf(layer)}`, `workdir=${layer}/work`, 'userxattr', 'volatile'],
    ]
    const record = ownMounts().add({ place, source: host, writable: true })
    try {
      const words = [`${old.id}`, home, host, options.join(','), ...place.split('/').slice(1)]
      try {
        const child = startProcess(openStacker, [...targetOf(this.#sandbox.monitor), ...words], {
          stdio: ['ignore', record.fd, 'ignore', ...(lock === undefined ? [] : [lock])],
          env: {},
          argv0: 'vial',
          // A ^C of the terminal's is not meant for it: the tree would stay read-only.
          detached: true,
        })
        await once(child, 'exit')
      } catch (error) {
        throw startError(error)
      }
      const answers = record.answers()
      if (answers.some(({ kind }) => kind === mountAnswer.done)) return
      const failure = answers.find(({ kind }) => stageOf(kind) !== undefined)
      if (failure !== undefined) throw failureOf(failure, what, host)
      // It was killed.
      const id = answers.find(({ kind }) => kind === mountAnswer.mount)?.value
      if (topmost(this.#mounts(what), place)?.id === id) return
      throw new HostError(printable(`cannot ${what}: what was to do it was killed`), { hint: 'do it once more' })
    } finally {
      record.end(false)
    }
  }

  /**
   * Whether the tree shows this layer, which is one that {@link stack} has put there.
   * @throws {HostError} when the sandbox has ended
   */
  shows(place: string, layer: number): boolean {
    const mount = topmost(this.#mounts(`look at the layers of ${place}`), place)
    return mount?.options.includes(`upperdir=${upperOf(`${layer}`)}`) ?? false
  }

  #mounts(what: string): readonly Mount[] {
    const { init, monitor } = this.#sandbox
    this.#init ??= init ?? runningProcesses().find(({ parent }) => parent === monitor.pid)?.pid
    const found = ifSeen(() => mountTable(readFileSync(`/proc/${this.#init}/mountinfo`, 'latin1')))
    if (this.#init === undefined || found === undefined || statOf(this.#init)?.parent !== monitor.pid)
      throw new HostError(printable(`cannot ${what}: the sandbox has ended`))
    return found
  }
}

/** Below the directory of the layers, where the program stacks them. */
const upperOf = (layer: string) => `${layer}/upper`

/** Of mounts on one place, none lies on the topmost. */
function topmost(table: readonly Mount[], place: string): Mount | undefined {
  const there = table.filter(({ path }) => path === place)
  return there.find(({ id }) => !there.some(({ parent }) => parent === id))
}

const openStacker = ownProgram(layerStacker)
