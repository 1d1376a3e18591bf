/** The limits of a sandbox's runs: their cgroup, their output, and what these tell at the end. */
import { closeSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Readable } from 'node:stream'
import { findWay } from '../cgroup/find.js'
import { cpuTimeUnit, type Group, type GroupLimits, type Missing, type Way } from '../cgroup/group.js'
import { emptyGroup, removeGroup } from '../cgroup/garbage.js'
import { newGroupName } from '../cgroup/owner.js'
import { errnoMessage } from '../kernel/errno.js'
import type { GroupOption } from '../plan/limits.js'
import type { HeldLimit } from '../plan/security.js'
import {
  type LimitName,
  type Limits,
  neededResources,
  parseLimits,
  processLimits,
  substitutes,
} from '../policy/limits.js'
import type { Policy } from '../policy/schema.js'
import { SandboxError } from './error.js'
import { OutputMeter } from './output.js'
import type { Usage } from './status.js'

/** Who holds the sandbox to a limit. `none`: nobody, which only `required: false` allows. */
export type Enforcement = Way['name'] | 'rlimit of each process' | 'timer' | 'reader' | 'tmpfs' | 'none'

const outputLimits = ['output', 'stdout', 'stderr'] as const

export class Limiter {
  readonly limits: Limits
  readonly #needed: ReturnType<typeof neededResources>
  /** Whether the sandbox has a pid 1 of ours beside the payload, and whether its end is the end of all. */
  readonly #hasReaper: boolean
  readonly #tied: boolean
  #way: Way | Missing | undefined

  constructor(readonly policy: Policy) {
    this.limits = parseLimits(policy.limits!)
    this.#needed = neededResources(this.limits)
    this.#hasReaper = (policy.init ?? 'reaper') === 'reaper'
    this.#tied = policy.dieWithParent ?? true
  }

  get limitsOutput(): boolean {
    return outputLimits.some((name) => this.limits[name] !== undefined)
  }

  /** @throws {SandboxError} when a cgroup is needed and required, and there is none. */
  way(): Way | undefined {
    if (this.#needed.length === 0) return undefined
    this.#way ??= findWay(this.#needed)
    if (!('missing' in this.#way)) return this.#way
    const { missing, remedy } = this.#way
    // What is missing may be granted meanwhile.
    this.#way = this.limits.required ? undefined : this.#way
    if (!this.limits.required) return undefined
    throw new SandboxError(
      `cannot limit ${this.#needed.join(', ')}: ${missing}\n      repair: ${remedy}\n      or set limits.required to false: an rlimit then stands in where there is one`,
      undefined,
    )
  }

  /** What the vial is told about the group whose descriptors begin at `first`. */
  option(first: number): GroupOption | undefined {
    const way = this.way()
    if (way === undefined) return undefined
    let next = first
    const cpuTime = this.limits.cpuTime === undefined ? undefined : { fd: next++, unit: cpuTimeUnit[way.version] }
    const memoryFd = this.limits.memory === undefined || way.version === 2 ? undefined : next++
    const count = way.version === 2 ? 1 : way.bases.length
    const fds = Array.from({ length: count }, () => next++)
    return { way: way.version === 2 ? 'clone' : 'move', fds, cpuTime, memoryFd, cpus: cpus().length }
  }

  /** @throws {SandboxError} when there can be no group, or no output is counted where it should be. */
  begin(): LimitedRun {
    const way = this.way()
    const { memory, swap, pids, cpu, io } = this.limits
    const limits = { memory, swap, pids: pids === undefined ? undefined : pids + (this.#hasReaper ? 1 : 0), cpu, io }
    try {
      return new LimitedRun(this.limits, way?.create(newGroupName(this.#tied), limits as GroupLimits), this.#hasReaper)
    } catch (error) {
      const { errno, code, path } = error as NodeJS.ErrnoException
      if (errno === undefined) throw new SandboxError((error as Error).message, undefined)
      throw new SandboxError(`cannot make a cgroup: ${path ?? way!.bases[0]}: ${errnoMessage(-errno)}`, code)
    }
  }

  /** Who does what, by the names of the limits. */
  enforcement(): Partial<Record<LimitName, Enforcement>> {
    const by = this.way()?.name
    const names = Object.keys(this.limits).filter((name) => name !== 'required') as LimitName[]
    return Object.fromEntries(names.map((name) => [name, this.#enforcement(name, by)]))
  }

  /** The same, with what the policy says. */
  held(): HeldLimit[] {
    const written = this.policy.limits as Readonly<Record<string, unknown>>
    return Object.entries(this.enforcement()).map(([name, by]) => {
      const value = written[name]
      return { name, value: typeof value === 'object' ? JSON.stringify(value) : String(value), by }
    })
  }

  #enforcement(name: LimitName, group: Way['name'] | undefined): Enforcement {
    if (name === 'wallTime') return 'timer'
    if (name === 'disk') return 'tmpfs'
    if (Object.hasOwn(processLimits, name)) return 'rlimit of each process'
    if (outputLimits.some((one) => one === name)) return 'reader'
    return group ?? (Object.hasOwn(substitutes, name) ? 'rlimit of each process' : 'none')
  }
}

const live = new Set<LimitedRun>()
/** Whoever calls process.exit leaves nothing behind. What cannot be removed at once, the next run removes. */
process.on('exit', () => {
  for (const run of live) run.abandon()
})

export class LimitedRun {
  /** In the order of {@link Limiter.option}; open until {@link started}. */
  readonly descriptors: readonly number[]
  #meter: OutputMeter | undefined
  #open: boolean

  constructor(
    readonly limits: Limits,
    readonly group: Group | undefined,
    readonly hasReaper: boolean,
  ) {
    try {
      const opened = group?.open({ cpuTime: limits.cpuTime !== undefined, memory: limits.memory !== undefined })
      this.descriptors = [opened?.cpuTime, opened?.memory, ...(opened?.enter ?? [])].filter((fd) => fd !== undefined)
    } catch (error) {
      group?.tryRemove()
      throw error
    }
    this.#open = true
    live.add(this)
  }

  /** The vial has its descriptors. */
  started(): void {
    if (this.#open) for (const fd of this.descriptors) closeSync(fd)
    this.#open = false
  }

  /** The streams that the caller reads; `kill` ends the sandbox. */
  watch(
    streams: { readonly stdout: Readable | null; readonly stderr: Readable | null },
    kill: () => void,
  ): { stdout: Readable | null; stderr: Readable | null } {
    const meter = new OutputMeter(this.limits, kill)
    this.#meter = meter
    const gate = (name: 'stdout' | 'stderr') => (streams[name] === null ? null : meter.gate(name, streams[name]))
    return { stdout: gate('stdout'), stderr: gate('stderr') }
  }

  get outputExceeded(): OutputMeter['exceeded'] {
    return this.#meter?.exceeded
  }

  /** Kills whom the end of pid 1 did not. */
  kill(): void {
    this.group?.kill()
  }

  /** What the group measured, once all in it have ended; the group is gone then. `quiet`: pid 1 and all below it have. */
  async finish(quiet: boolean): Promise<Partial<Usage>> {
    live.delete(this)
    if (this.group === undefined) return {}
    if (!quiet) await emptyGroup(this.group)
    const usage = this.group.measure()
    if (!this.group.tryRemove()) await removeGroup(this.group)
    if (usage.peakPids === undefined || !this.hasReaper) return usage
    return { ...usage, peakPids: usage.peakPids - 1 }
  }

  /** At the end of this process, or when the vial was never started. */
  abandon(): void {
    live.delete(this)
    this.started()
    const { group } = this
    if (group === undefined || group.tryRemove()) return
    group.kill()
    for (let round = 0; round < 20 && !group.tryRemove(); round++)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
  }
}
