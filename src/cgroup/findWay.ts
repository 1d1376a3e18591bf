/** Finds out which way to a group works here, or what is missing and the command that grants it. */
import { constants, existsSync, mkdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { limitRows } from '../policy/limitRows.js'
import { controllerOf, type GroupLimitName } from '../policy/limits.js'
import { mayAccess } from '../text/attempt.js'
import type { Repair } from '../text/repair.js'
import { collectGarbage } from './garbage.js'
import type { Missing, Way } from './group.js'
import { pidsIn, readText, writeValue } from './groupFiles.js'
import { type Hierarchy, hierarchies } from './hierarchies.js'
import { byRoot, isConfined } from './privilege.js'
import { requestScope, scopeOf } from './systemd.js'
import { type Bases, type Controller, v1Way } from './v1.js'
import { v2Way } from './v2.js'

const known = new Map<string, Way>()

/**
 * A way to groups that can limit all of `resources`. Found once; the first time, what dead processes left behind there
 * is removed. `VIAL_CGROUP` (v2, systemd, v1) demands one way and no other. `shielded`: the payload may mount, see {@link inside}.
 */
export function findWay(
  resources: readonly GroupLimitName[],
  { shielded = false, only = process.env.VIAL_CGROUP }: { readonly shielded?: boolean; readonly only?: string } = {},
): Way | Missing {
  const key = [only, shielded, ...[...resources].sort()].join(' ')
  const found = known.get(key) ?? search(resources, { shielded, only })
  if ('missing' in found) return found
  if (!known.has(key)) collectGarbage(found.bases)
  known.set(key, found)
  return found
}

/** The same, and nothing is changed but for the scope that systemd gives to this process. */
export function askWay(resources: readonly GroupLimitName[]): Way | Missing {
  return search(resources, { shielded: false, only: process.env.VIAL_CGROUP, asks: true })
}

interface Search {
  readonly shielded: boolean
  readonly only: string | undefined
  /** It only looks. */
  readonly asks?: boolean
}

function search(resources: readonly GroupLimitName[], { shielded, only, asks = false }: Search): Way | Missing {
  if (!existsSync('/proc/self/cgroup'))
    return nothing('/proc is not mounted here', byRoot('sudo mount -t proc proc /proc', 'kernel'))
  const all = hierarchies()
  const systemd = existsSync('/run/systemd/system')
  const ways = {
    v2: () => searchV2(all, resources, asks),
    systemd: () =>
      systemd ? searchSystemd(all, resources, asks) : nothing('systemd does not run here', 'boot with systemd'),
    v1: () => searchV1(all, resources, shielded),
  }
  // On a host of systemd's, root may write everywhere, and should not: https://systemd.io/CGROUP_DELEGATION
  const order =
    systemd && process.geteuid!() === 0 ? (['systemd', 'v2', 'v1'] as const) : (['v2', 'systemd', 'v1'] as const)
  if (only !== undefined && !Object.hasOwn(ways, only))
    return nothing(`VIAL_CGROUP is ${only}`, 'unset VIAL_CGROUP, or set it to v2, systemd or v1')
  const misses: Missing[] = []
  for (const name of order) {
    if (only !== undefined && name !== only) continue
    const found = ways[name]()
    if (!('missing' in found)) return found
    misses.push(found)
  }
  // The one that this host is made for: a v2 mount may be there without controllers.
  const likely = only !== undefined ? 0 : isMixed(all) ? order.indexOf('v1') : systemd ? order.indexOf('systemd') : 0
  const { missing, ...repair } = misses[likely]!
  return { missing, ...(isConfined('kernel') ? around : repair) }
}

/** For those who cannot be given one where they are. */
const around: Repair = {
  repair:
    'set the limits on what is around this process (vial run --memory, docker run --memory, MemoryMax= of a unit), or have that show a cgroup which this process may write',
}

const nothing = (missing: string, repair: string | Repair): Missing => ({
  missing,
  ...(typeof repair === 'string' ? { repair } : repair),
})

const isMixed = (all: readonly Hierarchy[]) =>
  all.some(({ version, controllers }) => version === 1 && controllers.includes('memory'))

const mayWrite = (path: string) => mayAccess(path, constants.W_OK)

// --- v1 -------------------------------------------------------------------------------------------------------------

function searchV1(all: readonly Hierarchy[], resources: readonly GroupLimitName[], shielded: boolean): Way | Missing {
  // In v1 this limit holds one group, and none below it: block/blk-throttle.c, throtl_pd_init().
  if (shielded && resources.includes('io'))
    return nothing(
      'cgroup v1 cannot limit io of a payload that may mount, which can lift it again',
      'boot with systemd.unified_cgroup_hierarchy=1, or use the seccomp profile "default"',
    )
  const bases: Partial<Record<Controller, string>> = {}
  const closed: string[] = []
  for (const resource of resources) {
    const file = limitRows[resource].v1
    if (file === undefined)
      return nothing(`cgroup v1 cannot limit ${resource}`, 'boot with systemd.unified_cgroup_hierarchy=1')
    const controller = controllerOf(file)
    const base = all.find(({ version, controllers }) => version === 1 && controllers.includes(controller))?.own
    if (base === undefined)
      return nothing(
        `there is no cgroup controller ${controller}, which limits ${resource}`,
        byRoot(
          `sudo mkdir -p /sys/fs/cgroup/${controller} && sudo mount -t cgroup -o ${controller} cgroup /sys/fs/cgroup/${controller}`,
          'kernel',
        ),
      )
    if (mayWrite(base)) bases[controller] = base
    else if (!closed.includes(base)) closed.push(base)
  }
  if (closed.length > 0) return nothing(`no group may be made in ${closed.join(' or ')}`, grantV1(closed))
  // Not needed, and of use where the caller has them too: what memory and time a sandbox took.
  for (const controller of ['cpuacct', 'freezer'] as const) {
    const base = all.find(({ version, controllers }) => version === 1 && controllers.includes(controller))?.own
    if (base !== undefined && mayWrite(base)) bases[controller] ??= base
  }
  return v1Way(bases satisfies Bases, shielded ? ownPlaces(all) : [])
}

/** Where the caller may make groups at all: in a mount of these hierarchies the payload sees the group that it is in. */
const ownPlaces = (all: readonly Hierarchy[]) =>
  all.flatMap(({ version, own }) =>
    own !== undefined && mayWrite(own) && (version === 1 || mayWrite(join(own, 'cgroup.procs'))) ? [own] : [],
  )

/**
 * For a shell of the user's, whose pid is $$: who may write cgroup.procs of a group of version 1 may move processes of their own into it,
 * cgroup1_procs_write() in kernel/cgroup/cgroup-v1.c. Root is asked once.
 */
function grantV1(directories: readonly string[]): Repair {
  const user = process.geteuid!()
  const each = (what: string) => `for g in ${directories.join(' ')}; do ${what}; done`
  if (user === 0) return { repair: each('mount -o remount,rw "$(df --output=target $g | tail -n 1)"') }
  const group = `$g/user-${user}`
  return {
    repair: byRoot(each(`sudo mkdir -p ${group} && sudo chown ${user} ${group} ${group}/cgroup.procs`), 'kernel'),
    further: `then, in each shell (until the next boot in ~/.profile): ${each(`echo $$ > ${group}/cgroup.procs`)}`,
  }
}

// --- v2 -------------------------------------------------------------------------------------------------------------

function searchV2(all: readonly Hierarchy[], resources: readonly GroupLimitName[], asks: boolean): Way | Missing {
  const mount = all.find(({ version, own }) => version === 2 && own !== undefined)
  if (mount?.own === undefined)
    return nothing('cgroup v2 is not mounted', byRoot('sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup', 'kernel'))
  const needed = neededV2(resources)
  const available = wordsOf(mount.own, 'cgroup.controllers')
  const lacking = needed.filter((name) => !available.includes(name))
  // The own group first; then above, as far as it is ours: there a sibling of our own group may be made.
  const own = standsAside(mount.own) ? dirname(mount.own) : mount.own
  for (let base = own; base.startsWith(mount.mount); base = dirname(base)) {
    if (!mayWrite(base) || !mayWrite(join(base, 'cgroup.procs'))) break
    if ((asks ? couldEnable : enable)(base, needed, base === own)) return v2Way(base)
    if (base === mount.mount) break
  }
  return lacking.length > 0
    ? nothing(`cgroup v2 has no ${lacking.join(', ')} controller in ${mount.own}`, delegate(lacking))
    : nothing(`no group may be made in ${mount.own}`, scopeOf)
}

/** A file that each group has, whatever controllers are on: cgroup-v2.rst, "CPU Interface Files". */
const coreFile = 'cpu.stat'

const neededV2 = (resources: readonly GroupLimitName[]) => {
  const files = resources.map((resource) => limitRows[resource].v2).filter((file) => file !== coreFile)
  return [...new Set(files.map(controllerOf))]
}

/** systemd.resource-control(5); https://systemd.io/CGROUP_DELEGATION. */
function delegate(controllers: readonly string[]): Repair {
  const all = [...new Set([...controllers, 'cpu', 'io', 'memory', 'pids'])].join(' ')
  const directory = '/etc/systemd/system/user@.service.d'
  return {
    repair: byRoot(
      `sudo mkdir -p ${directory} && printf '[Service]\\nDelegate=${all}\\n' | sudo tee ${directory}/delegate.conf && sudo systemctl daemon-reload`,
      'kernel',
    ),
    further: 'then log in again',
  }
}

const wordsOf = (directory: string, file: string) => (readText(directory, file) ?? '').trim().split(/\s+/)

/**
 * Switches controllers on for groups below `base`; where processes of ours stand in the way, they go into a group below,
 * first: pids and cpu could be switched on over their heads, and make groups that no process may enter (cgroup-v2.rst, "Threads").
 */
function enable(base: string, controllers: readonly string[], mayMove: boolean): boolean {
  const missing = controllers.filter((name) => !wordsOf(base, 'cgroup.subtree_control').includes(name))
  if (missing.length === 0) return holdsDomains(base)
  try {
    if (!mayHoldBoth(base) && pidsIn([base]).length > 0 && !(mayMove && stepAside(base))) return false
    writeValue(base, 'cgroup.subtree_control', missing.map((name) => `+${name}`).join(' '))
    return holdsDomains(base)
  } catch {
    return false
  }
}

/** Only the root group, which has no cgroup.type, may have processes and controllers. */
const mayHoldBoth = (base: string) => readText(base, 'cgroup.type') === undefined
/** Whether processes may enter a group below it: not in what holds threads. */
const holdsDomains = (base: string) => mayHoldBoth(base) || wordsOf(base, 'cgroup.type').join() === 'domain'

/** Whether {@link enable} would do it. */
function couldEnable(base: string, controllers: readonly string[], mayMove: boolean): boolean {
  if (!holdsDomains(base)) return false
  if (controllers.every((name) => wordsOf(base, 'cgroup.subtree_control').includes(name))) return true
  if (!controllers.every((name) => wordsOf(base, 'cgroup.controllers').includes(name))) return false
  if (!mayWrite(join(base, 'cgroup.subtree_control'))) return false
  const present = pidsIn([base])
  return present.length === 0 || mayHoldBoth(base) || (mayMove && areOurs(present))
}

/** Where callers go that stand in a group which must have no process of its own: "no internal processes", cgroups(7). */
const callersGroup = 'vial.callers'
/** Whether this process, or the one that started it, has been moved there before: groups are made beside it. */
const standsAside = (own: string) => basename(own) === callersGroup

/** Moves this process, its ancestors and descendants out of `base`; false, and nothing is moved, if others are there. */
function stepAside(base: string): boolean {
  const present = pidsIn([base])
  if (!areOurs(present)) return false
  const aside = join(base, callersGroup)
  mkdirSync(aside, { recursive: true })
  for (const pid of present) {
    try {
      writeValue(aside, 'cgroup.procs', pid)
    } catch (error) {
      // One that has ended since.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  return true
}

/** Whether each is this process, or one that it comes from or has started. */
function areOurs(present: readonly number[]): boolean {
  const parents = new Map(present.map((pid) => [pid, parentOf(pid)]))
  const ancestors = new Set<number>()
  for (let pid: number | undefined = process.pid; pid !== undefined && pid > 0; pid = parentOf(pid)) ancestors.add(pid)
  const descends = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 0; at = parents.get(at) ?? parentOf(at))
      if (at === process.pid) return true
    return false
  }
  return present.every((pid) => ancestors.has(pid) || descends(pid))
}

function parentOf(pid: number): number | undefined {
  const status = readText('/proc', `${pid}/status`)
  const parent = status === undefined ? undefined : /^PPid:\s+(\d+)/m.exec(status)?.[1]
  return parent === undefined ? undefined : Number(parent)
}

// --- systemd --------------------------------------------------------------------------------------------------------

/** Whether systemd has given one to this process, for good. */
let hasScope = false

/** The scope is a part of v2 that systemd gives to this process: from there on all is as in v2. */
function searchSystemd(all: readonly Hierarchy[], resources: readonly GroupLimitName[], asks: boolean): Way | Missing {
  const mount = all.find(({ version }) => version === 2)
  const needed = neededV2(resources)
  if (mount === undefined) return nothing('cgroup v2 is not mounted', 'boot with systemd.unified_cgroup_hierarchy=1')
  if (!hasScope) {
    const scope = requestScope()
    if ('missing' in scope) return scope
    hasScope = true
  }
  const place = hierarchies().find(({ version, own }) => version === 2 && own !== undefined)?.own
  const own = place !== undefined && standsAside(place) ? dirname(place) : place
  if (own === undefined)
    return nothing(
      'the scope that systemd made is not visible here',
      byRoot('sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup', 'kernel'),
    )
  const lacking = needed.filter((name) => !wordsOf(own, 'cgroup.controllers').includes(name))
  if (lacking.length > 0)
    return nothing(`systemd gives its users no ${lacking.join(', ')} controller`, delegate(lacking))
  return (asks ? couldEnable : enable)(own, needed, true)
    ? v2Way(own, 'systemd')
    : nothing(`the controllers ${needed.join(', ')} cannot be switched on in ${own}`, delegate(needed))
}
