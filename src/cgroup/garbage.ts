/** Removing groups: those that a run has just left, and those whose maker died before it could. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { killPids, pidsIn, removeFolder, writeValue } from './files.js'
import type { Group } from './group.js'
import { hierarchies } from './hierarchies.js'
import { isDead, ownerOf } from './owner.js'

/**
 * Removes a group whose processes have been killed; those that are still dying are waited for.
 * @throws {Error} when somebody is in it after ten seconds.
 */
export async function removeGroup(group: Group): Promise<void> {
  for (let wait = 1; !group.tryRemove(); wait *= 2) {
    if (wait > 2 ** 13) throw new Error(`the cgroup ${group.folders.join(', ')} does not get empty`)
    group.kill()
    await sleep(wait)
  }
}

/**
 * Kills until nobody is left.
 * @throws {Error} when somebody is in it after ten seconds.
 */
export async function emptyGroup(group: Group): Promise<void> {
  for (let wait = 1; pidsIn(group.folders).length > 0; wait *= 2) {
    if (wait > 2 ** 13) throw new Error(`the cgroup ${group.folders.join(', ')} does not get empty`)
    group.kill()
    await sleep(wait)
  }
}

/** Folders in which this process would make groups: its own and, up to the top of each hierarchy, those above. */
export function allBases(): string[] {
  return hierarchies().flatMap(({ mount, own }) => {
    if (own === undefined) return []
    const below = own.slice(mount.length).split('/').filter(Boolean)
    return [mount, ...below.map((_, index) => join(mount, ...below.slice(0, index + 1)))]
  })
}

/**
 * Removes what dead owners left in these folders, processes included; gives the folders removed. A group that belongs
 * to somebody else, to a process that lives, or that has processes which were to outlive their maker stays.
 */
export function collectGarbage(bases: readonly string[]): string[] {
  const uid = process.geteuid!()
  return [...new Set(bases)].flatMap((base) =>
    names(base)
      .filter((name) => {
        const owner = ownerOf(name)
        return owner !== undefined && isDead(owner) && isOurs(join(base, name), uid)
      })
      .map((name) => ({ folder: join(base, name), tied: ownerOf(name)!.tied }))
      .filter(({ folder, tied }) => (tied ? killAndRemove(folder) : tryRemove(folder)))
      .map(({ folder }) => folder),
  )
}

const names = (folder: string): string[] => {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function isOurs(folder: string, uid: number): boolean {
  try {
    return uid === 0 || statSync(folder).uid === uid
  } catch {
    return false
  }
}

function tryRemove(folder: string): boolean {
  try {
    return removeFolder(folder)
  } catch {
    return false
  }
}

/** A group of any kind, which may be frozen. Waits at most a second: what is then left, the next one removes. */
function killAndRemove(folder: string): boolean {
  for (let round = 0; round < 100; round++) {
    if (tryRemove(folder)) return true
    tryWrite(folder, 'cgroup.kill', 1)
    killPids(pidsIn([folder]))
    tryWrite(folder, 'freezer.state', 'THAWED')
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
  return false
}

function tryWrite(folder: string, file: string, value: string | number): void {
  try {
    writeValue(folder, file, value)
  } catch {}
}
