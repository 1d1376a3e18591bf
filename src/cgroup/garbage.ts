/** Removing groups: those that a run has just left, and those whose maker died before it could. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errno, errnoMessage } from '../kernel/errno.js'
import { HostError } from '../text/error.js'
import type { Group } from './group.js'
import { killPids, pidsBelow, removeDirectory, thaw, tryWrite } from './groupFiles.js'
import { hierarchies } from './hierarchies.js'
import { isDead, ownerOf } from './owner.js'

/**
 * Removes a group whose processes have been killed; those that are still dying are waited for.
 * @throws {Error} when it is still there after some sixteen seconds: what stays, and why.
 */
export function removeGroup(group: Group): Promise<void> {
  return killUntil(group, () => group.tryRemove())
}

/**
 * Kills until no process is left.
 * @throws {HostError} when one is left after some sixteen seconds: which, and where.
 */
export function emptyGroup(group: Group): Promise<void> {
  return killUntil(group, () => pidsBelow(group.directories).length === 0)
}

async function killUntil(group: Group, done: () => boolean): Promise<void> {
  for (let wait = 1; !done(); wait *= 2) {
    if (wait > 2 ** 13)
      throw new HostError(
        group.directories.map((directory) => `${directory} stays: ${reasonFor(directory)}`).join('\n') +
          '\n      "vial gc" removes it once this process has ended',
      )
    group.kill()
    await sleep(wait)
  }
}

/** Why a group cannot be removed. */
function reasonFor(directory: string): string {
  const pids = pidsBelow([directory])
  if (pids.length > 0)
    return `processes are in it that SIGKILL does not end: ${pids.map((pid) => pid || 'one of another pid namespace').join(', ')}`
  try {
    return removeDirectory(directory) ? 'it was busy' : errnoMessage(errno.EBUSY)
  } catch (error) {
    const { path, errno: number = 0 } = error as NodeJS.ErrnoException
    return `${path}: ${errnoMessage(-number)}`
  }
}

/** Directories in which this process would make groups: its own and, up to the top of each hierarchy, those above. */
export function allBases(): string[] {
  return hierarchies().flatMap(({ mount, own }) => {
    if (own === undefined) return []
    const below = own.slice(mount.length).split('/').filter(Boolean)
    return [mount, ...below.map((_, index) => join(mount, ...below.slice(0, index + 1)))]
  })
}

export interface Collected {
  /** Directories of groups that are gone. */
  readonly removed: readonly string[]
  /** Those of dead makers that stay, and why. */
  readonly kept: readonly { readonly directory: string; readonly why: string }[]
}

/**
 * Removes what dead owners left in these directories, processes included. A group that belongs to another user or to a
 * process that lives is passed over. One whose processes were to outlive their maker stays as long as they live.
 * @param recorded directories that records name; without it nothing is known of groups that are recorded, and they stay
 */
export function collectGarbage(bases: readonly string[], recorded?: ReadonlySet<string>): Collected {
  const uid = process.geteuid!()
  const removed: string[] = []
  const kept: { directory: string; why: string }[] = []
  const dead = [...new Set(bases)].flatMap((base) =>
    names(base).flatMap((name) => {
      const owner = ownerOf(name)
      const directory = join(base, name)
      if (owner === undefined || !isDead(owner) || !isOurs(directory, uid)) return []
      if (owner.kind === 'recorded' && (recorded?.has(directory) ?? true)) return []
      return [{ directory, tied: owner.kind === 'tied' }]
    }),
  )
  // What is frozen in one hierarchy holds its group in all others.
  for (const { directory, tied } of dead) if (tied) killAll(directory)
  for (const { directory, tied } of dead) {
    if (tied ? killAndRemove([directory]) : tryRemove(directory)) removed.push(directory)
    else if (tied) kept.push({ directory, why: reasonFor(directory) })
    else
      kept.push({
        directory,
        why: `it holds processes that were meant to outlive their maker: ${pidsBelow([directory]).join(', ')}`,
      })
  }
  return { removed, kept }
}

const names = (directory: string): string[] => {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

function isOurs(directory: string, uid: number): boolean {
  try {
    return uid === 0 || statSync(directory).uid === uid
  } catch {
    return false
  }
}

function tryRemove(directory: string): boolean {
  try {
    return removeDirectory(directory)
  } catch {
    return false
  }
}

/**
 * Kills all in a group of any kind, which may be frozen, and removes it. Waits at most a second: what is then left, the next one removes.
 * @param directories in all hierarchies: what is frozen in one holds its group in all others
 * @returns whether all are gone
 */
export function killAndRemove(directories: readonly string[]): boolean {
  let left = directories
  for (let round = 0; round < 100; round++) {
    left = left.filter((directory) => !tryRemove(directory))
    if (left.length === 0) return true
    left.forEach(killAll)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
  return false
}

/** Kills all in a group of any kind and below it, and wakes what is frozen. */
export function killAll(directory: string): void {
  tryWrite(directory, 'cgroup.kill', 1)
  killPids(pidsBelow([directory]))
  thaw(directory)
}
