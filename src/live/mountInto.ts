/** Mounts something of the host into a sandbox that runs, and takes away what was mounted so. */
import { once } from 'node:events'
import { readFileSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { getSystemErrorName } from 'node:util'
import * as v from 'valibot'
import { statOf } from '../cgroup/processStat.js'
import type { Compiled } from '../compile/compile.js'
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { type MountCall, mountAnswer, mountCall, mountStages, stageOf } from '../launcher/mountCall.js'
import { mounter } from '../launcher/mounter.js'
import type { Hints } from '../plan/step.js'
import { handsOutUser } from '../plan/plan.js'
import { parseOptions } from '../policy/check.js'
import { currentDirectory, normal } from '../policy/path.js'
import { flag, host, inside } from '../policy/values.js'
import { startError, startProcess } from '../run/startProcess.js'
import { ifSeen } from '../kernel/shortage.js'
import { attempt } from '../text/attempt.js'
import { HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { object } from '../text/shapes.js'
import { targetOf } from './enterSandbox.js'
import type { Inspected } from './inspectSandbox.js'
import { runningProcesses } from './members.js'
import { refuseMount, requireMountable } from './mountFaults.js'
import type { AddedMount, MountRecords, RecordedMount } from './mountRecords.js'
import { type Mount, mountTable } from './mountTable.js'
import { compiledAgain } from './sandboxPlan.js'
import { ownProgram } from './ownPrograms.js'

/** How something is mounted into a sandbox that runs. */
export interface MountOptions {
  /** The payload may write there, as far as the host lets its user; default: it is read-only. */
  readonly writable?: boolean | undefined
  /** What does not exist on the host is left out; default: it is an error. */
  readonly optional?: boolean | undefined
}

const schema = object({ source: host, inside, writable: v.optional(flag), optional: v.optional(flag) })

/** What can be mounted into, and what was. */
export interface MountTarget {
  readonly sandbox: Inspected
  readonly mounts: MountRecords
  /** As of its record. */
  readonly trusted: readonly string[]
}

/** The mounts of one sandbox that runs: its policy is compiled once. */
export class SandboxMounts {
  readonly #target: MountTarget
  #compiled: Compiled | undefined
  #init: number | undefined

  constructor(target: MountTarget) {
    this.#target = target
  }

  /**
   * @returns false: there is no source, and it is optional
   * @throws {OptionError} for what is not mounted into this sandbox
   * @throws {HostError} when the kernel refuses it; nothing is mounted then
   */
  async mount(path: string, place: string, options: MountOptions = {}): Promise<boolean> {
    const { sandbox, mounts, trusted } = this.#target
    const checked = check({ source: path, inside: place, ...options })
    const mount: AddedMount = {
      source: resolve(currentDirectory(), checked.source),
      place: normal(checked.inside),
      writable: checked.writable ?? false,
    }
    const what = `mount ${mount.source} on ${mount.place}`
    const { plan, policy } = this.#plan()
    requireMountable(sandbox.policy, plan)
    const [within, outside] = [this.#inside(what), this.#outside()]
    refuseMount(mount, { policy, plan, base: sandbox.base, trusted, inside: within })
    if (mounts.all().some((one) => one.place === mount.place && within.some(({ id }) => id === one.id)))
      throw new OptionError(printable(`something was mounted on ${mount.place} already`), { hint: 'unmount it first' })
    const record = mounts.add(mount)
    let stays = false
    try {
      await this.#call(record.fd, ['writable'].filter(() => mount.writable) as MountCall[], ownRoot(within, outside), [
        mount.source,
        ...namesOf(mount.place),
      ])
      const answers = record.answers()
      const id = answers.find(({ kind }) => kind === mountAnswer.mount)?.value
      stays = answers.some(({ kind }) => kind === mountAnswer.done)
      if (stays) return true
      const failure = answers.find(({ kind }) => stageOf(kind) !== undefined)
      if (failure === undefined) {
        // It was killed, or there was no room for its last word.
        stays = id !== undefined && this.#inside(what).some((one) => one.id === id)
        if (stays) return true
        throw new HostError(printable(`cannot ${what}: what was to mount it was killed`))
      }
      const missing = stageOf(failure.kind) === 'source' && errnoName(failure.value) === 'ENOENT'
      if (missing && checked.optional) return false
      throw failureOf(failure, what, mount.source)
    } finally {
      record.end(stays)
    }
  }

  /** @throws {OptionError} when nothing was mounted there by {@link mount} */
  async unmount(place: string): Promise<void> {
    const { mounts } = this.#target
    const wanted = normal(check({ source: '/', inside: place }).inside)
    const what = `unmount ${wanted}`
    const found = mounts.all().findLast((one) => one.place === wanted)
    if (found === undefined)
      throw new OptionError(printable(`nothing was mounted on ${wanted} while the sandbox ran`), {
        hint: 'what its policy mounts stays',
      })
    // A payload may have moved it, with a directory above it.
    const present = this.#inside(what).find(({ id }) => id === found.id)
    if (present === undefined) {
      if (found.coming)
        throw new HostError(printable(`cannot ${what}: it is being mounted just now`), { hint: 'try again' })
      found.forget()
      return
    }
    await this.#takeAway(found, present, what)
    found.forget()
  }

  async #takeAway({ id, ...mount }: RecordedMount, { path }: Mount, what: string): Promise<void> {
    const record = this.#target.mounts.add(mount)
    try {
      await this.#call(record.fd, ['removes'], false, [String(id), ...namesOf(path)])
      const failure = record.answers().find(({ kind }) => stageOf(kind) !== undefined)
      if (failure !== undefined) throw failureOf(failure, what, mount.source)
      if (this.#inside(what).some((one) => one.id === id))
        throw new HostError(printable(`cannot ${what}: what was to unmount it was killed`))
    } finally {
      record.end(false)
    }
  }

  /** Runs the mounter to its end: it writes to `fd`. */
  async #call(fd: number, switches: readonly MountCall[], ownRoot: boolean, words: readonly string[]): Promise<void> {
    const { plan } = this.#plan()
    const asked = new Set<MountCall>(switches)
    if (handsOutUser(plan)) asked.add('ownUser')
    if (ownRoot) asked.add('ownRoot')
    const digits = mountCall.order.map((name) => (asked.has(name) ? '1' : '0')).join('')
    try {
      const args = [...targetOf(this.#target.sandbox.monitor), digits, ...words]
      const child = startProcess(openMounter, args, { stdio: ['ignore', fd, 'ignore'], env: {}, argv0: 'vial' })
      await once(child, 'exit')
    } catch (error) {
      throw startError(error)
    }
  }

  #plan(): Compiled {
    this.#compiled ??= compiledAgain(this.#target.sandbox)
    return this.#compiled
  }

  #inside(what: string): readonly Mount[] {
    const { sandbox } = this.#target
    this.#init ??= sandbox.init ?? runningProcesses().find(({ parent }) => parent === sandbox.monitor.pid)?.pid
    const found = this.#init === undefined ? undefined : ifSeen(() => readMounts(this.#init!))
    // Of a process that has the pid by now it would be another table.
    if (found === undefined || statOf(this.#init!)?.parent !== sandbox.monitor.pid)
      throw new HostError(printable(`cannot ${what}: the sandbox has ended`))
    return found
  }

  /** As its monitor sees the host. */
  #outside(): readonly Mount[] {
    return ifSeen(() => readMounts(this.#target.sandbox.monitor.pid)) ?? []
  }
}

const readMounts = (pid: number) => mountTable(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'))

const namesOf = (place: string) => place.split('/').slice(1)

const check = (given: object) => parseOptions(schema, given)

/** Whether the root is a filesystem of the sandbox's own, and none of the host's. */
function ownRoot(inside: readonly Mount[], outside: readonly Mount[]): boolean {
  const root = inside.findLast(({ path }) => path === '/')
  return root?.type === 'tmpfs' && outside.length > 0 && !outside.some(({ device }) => device === root.device)
}

const openMounter = ownProgram(mounter)

export function failureOf(
  { kind, value }: { readonly kind: number; readonly value: number },
  what: string,
  source: string,
): HostError {
  const stage = stageOf(kind)!
  const name = errnoName(value)
  const hints: Hints = mountStages[stage].hints
  const known = name === undefined ? undefined : hints[name]
  const real = stage === 'source' && name === 'ELOOP' ? attempt(() => realpathSync(source)) : undefined
  const subject = stage === 'source' ? `${source}: ` : ''
  return new HostError(printable(`cannot ${what}: ${subject}${errnoMessage(value)}`), {
    code: getSystemErrorName(-value),
    hint: real === undefined ? known : printable(`${known}: ${real}`),
  })
}
