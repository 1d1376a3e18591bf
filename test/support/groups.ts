/** Cgroups of the tests' own, so that no two of them, nor what else runs on the machine, see each other's. */
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { hierarchies } from '../../src/cgroup/hierarchies.js'
import { isDead, ownerOf } from '../../src/cgroup/owner.js'
import { type Caller, root } from './user.js'

let serial = 0

/** Directories in which groups may be made, of each hierarchy that a limit may need. */
function bases(): string[] {
  const needed = ['memory', 'pids', 'cpu', 'cpuset', 'cpuacct', 'blkio', 'freezer']
  return hierarchies().flatMap(({ version, controllers, own }) =>
    own !== undefined && (version === 2 || needed.some((name) => controllers.includes(name))) ? [own] : [],
  )
}

/** Groups that a caller owns, as an administrator would delegate them, by hierarchy. Without root there are none. */
export interface Delegation {
  readonly directories: readonly string[]
  /** Words before a command that put it there; undefined: there is nowhere to put it. */
  readonly wrapper: readonly string[] | undefined
  /** Groups in it, or anywhere if there is none, that are never removed. */
  left(): string[]
  remove(): void
}

export function delegate(caller: Caller): Delegation {
  if (process.getuid?.() !== 0)
    return {
      directories: [],
      wrapper: undefined,
      left: () => hierarchies().flatMap(({ mount }) => groupsLeft(mount)),
      remove() {},
    }
  for (const base of bases()) enableAll(base)
  const directories = bases().map((base) => join(base, `vial-test-${process.pid}-${serial++}`))
  for (const directory of directories) {
    mkdirSync(directory)
    chownSync(directory, caller.uid, caller.gid)
    // In v1 a new group has none, and no process may enter it then.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (!existsSync(join(directory, 'cpuset.cpu_exclusive'))) continue
      writeFileSync(join(directory, file), readFileSync(join(dirname(directory), file)))
    }
    // In v2 a process that moves others below it writes this file as well.
    for (const file of ['cgroup.procs', 'tasks', 'cgroup.subtree_control']) {
      try {
        chownSync(join(directory, file), caller.uid, caller.gid)
      } catch {}
    }
  }
  const become = caller.uid === root.uid ? '' : `setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups`
  // In v2 no process may enter a group whose controllers are on below it: then the one beside, where vial put its callers.
  const enter = directories
    .map(
      (directory) =>
        `{ [ ! -d ${directory}/vial.callers ] || at=/vial.callers; echo $$ > ${directory}$at/cgroup.procs; at=; }`,
    )
    .join(' && ')
  return {
    directories,
    wrapper: ['sh', '-c', `at=; ${enter} && exec ${become} "$@"`, 'sh'],
    left: () => directories.flatMap(groupsLeft),
    remove() {
      for (const directory of directories) {
        for (const name of readdirSync(directory, { withFileTypes: true }))
          if (name.isDirectory()) rmdirSync(join(directory, name.name))
        rmdirSync(directory)
      }
    },
  }
}

/** In v2, what a group may limit is switched on above it. Where v1 has the controllers, nothing is. */
function enableAll(base: string): void {
  if (!existsSync(join(base, 'cgroup.controllers'))) return
  if (!readFileSync(join(base, 'cgroup.controllers'), 'utf8').includes('memory')) return
  for (const controller of ['memory', 'pids', 'cpu', 'io', 'cpuset', 'hugetlb']) {
    try {
      writeFileSync(join(base, 'cgroup.subtree_control'), `+${controller}`)
    } catch {}
  }
}

/** Whether a group's maker is dead, or is this process. */
function isLeft(name: string): boolean {
  const owner = ownerOf(name)
  return owner !== undefined && (owner.pid === process.pid || isDead(owner))
}

/** Groups below a directory, at any depth, that are never removed. */
function groupsLeft(directory: string): string[] {
  let names: string[] = []
  try {
    names = readdirSync(directory, { withFileTypes: true }).flatMap((one) => (one.isDirectory() ? [one.name] : []))
  } catch {}
  return names.flatMap((name) => [
    ...(isLeft(name) ? [join(directory, name)] : []),
    ...groupsLeft(join(directory, name)),
  ])
}
