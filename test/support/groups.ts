/** Cgroups of the tests' own: delegated ones for an ordinary user, and a look at what is left in all of them. */
import { chownSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { hierarchies } from '../../src/cgroup/hierarchies.js'
import { isDead, ownerOf } from '../../src/cgroup/owner.js'
import { type Caller, root } from './user.js'

/** Folders in which groups may be made, of each hierarchy that a limit may need. */
function bases(): string[] {
  const needed = ['memory', 'pids', 'cpu', 'cpuacct', 'blkio', 'freezer']
  return hierarchies().flatMap(({ version, controllers, own }) =>
    own !== undefined && (version === 2 || needed.some((name) => controllers.includes(name))) ? [own] : [],
  )
}

/** Groups that a caller owns, as an administrator would delegate them, by hierarchy; root needs none. */
export interface Delegation {
  readonly folders: readonly string[]
  /** Words before a command that put it there. */
  readonly wrapper: readonly string[]
  remove(): void
}

export function delegate(caller: Caller): Delegation {
  if (process.getuid?.() !== 0 || caller.uid === root.uid) return { folders: [], wrapper: [], remove() {} }
  const folders = bases().map((base) => join(base, `vial-test-${process.pid}`))
  for (const folder of folders) {
    mkdirSync(folder)
    chownSync(folder, caller.uid, caller.gid)
    // In v2 whoever moves processes below it writes this file as well.
    for (const file of ['cgroup.procs', 'tasks', 'cgroup.subtree_control']) {
      try {
        chownSync(join(folder, file), caller.uid, caller.gid)
      } catch {}
    }
  }
  const enter = folders.map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(' && ')
  return {
    folders,
    wrapper: [
      'sh',
      '-c',
      `${enter} && exec setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups "$@"`,
      'sh',
    ],
    remove() {
      for (const folder of folders) {
        for (const name of readdirSync(folder, { withFileTypes: true }))
          if (name.isDirectory()) rmdirSync(join(folder, name.name))
        rmdirSync(folder)
      }
    },
  }
}

/** Whether a group's maker is dead, or is this process. */
function isLeft(name: string): boolean {
  const owner = ownerOf(name)
  return owner !== undefined && (owner.pid === process.pid || isDead(owner))
}

/** Groups in all hierarchies, wherever they are, that nobody will remove. */
export function groupsLeft(): string[] {
  const below = (folder: string): string[] => {
    let names: string[] = []
    try {
      names = readdirSync(folder, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []))
    } catch {}
    return names.flatMap((name) => [...(isLeft(name) ? [join(folder, name)] : []), ...below(join(folder, name))])
  }
  return [...new Set(hierarchies().map(({ mount }) => mount))].flatMap(below)
}
