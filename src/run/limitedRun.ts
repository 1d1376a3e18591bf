/** One run with limits: the group that it is in, the output that it may write, and what these tell at its end. */
import { closeSync } from 'node:fs'
import { emptyGroup, removeGroup } from '../cgroup/garbage.js'
import type { Group, GroupUsage, Watch } from '../cgroup/group.js'
import { systemFault } from '../kernel/systemError.js'
import { layOut, type Opened } from '../plan/namedDescriptors.js'
import { type Limits, outputLimits } from '../policy/limits.js'
import { LimitsError } from '../text/error.js'
import type { Usage } from './status.js'
import type { Receiver } from './streams.js'
import type { OutputStream } from './verdict.js'

const live = new Set<LimitedRun>()
/** A call of process.exit leaves nothing behind. What cannot be removed at once, the next run removes. */
process.on('exit', () => {
  for (const run of live) run.abandon()
})

export class LimitedRun {
  /** As many of each name as {@link Limiter.option} says; open until {@link started}. */
  readonly descriptors: Opened<number>
  #meter: OutputMeter | undefined
  #open: boolean
  readonly #thawing: NodeJS.Timeout | undefined

  constructor(
    readonly limits: Limits,
    readonly group: Group | undefined,
    watch: Watch,
    readonly hasReaper: boolean,
  ) {
    try {
      this.descriptors = group?.open(watch) ?? {}
    } catch (error) {
      group?.tryRemove()
      throw error
    }
    this.#open = true
    // What freezes itself would outlive every limit and the payload's own end: SIGKILL waits until it is woken.
    if (group?.mayFreeze) this.#thawing = setInterval(() => group.thaw(), 1000).unref()
    live.add(this)
  }

  /** The vial has its descriptors. */
  started(): void {
    if (this.#open) for (const fd of layOut(this.descriptors)) closeSync(fd)
    this.#open = false
  }

  /** Counts what goes to the receiver of a descriptor, if a limit is about it; `kill` ends the sandbox. */
  meter(fd: number, receiver: Receiver, kill: () => void): Receiver {
    const stream = fd === 1 ? 'stdout' : fd === 2 ? 'stderr' : undefined
    if (stream === undefined || outputLimits.every((name) => this.limits[name] === undefined)) return receiver
    this.#meter ??= new OutputMeter(this.limits, kill)
    return this.#meter.metered(stream, receiver)
  }

  get outputExceeded(): OutputMeter['exceeded'] {
    return this.#meter?.exceeded
  }

  /** Kills what outlived pid 1. */
  kill(): void {
    this.group?.kill()
  }

  /** What the group measured, once all in it have ended; the group is gone then. `quiet`: pid 1 and all below it have. */
  async finish(quiet: boolean): Promise<Partial<Usage>> {
    this.#leave()
    if (this.group === undefined) return {}
    let usage: GroupUsage
    try {
      if (!quiet) await emptyGroup(this.group)
      usage = this.group.measure()
      if (!this.group.tryRemove()) await removeGroup(this.group)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      throw new LimitsError(`cannot remove the cgroup: ${systemFault(error)}`, { code, cause: error })
    }
    if (usage.peakPids === undefined || !this.hasReaper) return usage
    return { ...usage, peakPids: usage.peakPids - 1 }
  }

  /** It outlives this process, and its group is another's to remove. */
  handOver(): void {
    this.#leave()
  }

  /** At the end of this process, or when the vial was never started. */
  abandon(): void {
    this.#leave()
    this.started()
    const { group } = this
    if (group === undefined || group.tryRemove()) return
    group.kill()
    for (let round = 0; round < 20 && !group.tryRemove(); round++)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }

  #leave(): void {
    live.delete(this)
    clearInterval(this.#thawing)
  }
}

/** Counts what the payload writes, passes on exactly the limit, and tells when there was more. */
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
