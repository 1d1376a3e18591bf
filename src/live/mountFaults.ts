/** What is not mounted into a sandbox that runs, and where nothing is: whatever would weaken what holds it. */
import { resolve } from 'node:path'
import { keptOver, otherNames, writableEntries } from '../compile/writableEntries.js'
import { trustedPaths } from '../compile/trustedPaths.js'
import { ask } from '../host/asked.js'
import { LANDLOCK } from '../kernel/flags.js'
import { oldestAbi } from '../kernel/landlock.js'
import type { Plan } from '../plan/plan.js'
import { kindOf } from '../policy/hidden.js'
import { key, setting } from '../policy/keys.js'
import { isWithin } from '../policy/path.js'
import type { Policy, StrictPolicy } from '../policy/schema.js'
import { OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { words } from '../text/words.js'
import type { AddedMount } from './mountRecords.js'
import type { Mount } from './mountTable.js'
import { hardening, ofKind } from './planSteps.js'

/** Filesystems by which the kernel is seen and told, and devices: as mountinfo calls them. */
const kernels = new Set(
  'proc sysfs devtmpfs devpts mqueue cgroup cgroup2 securityfs debugfs tracefs configfs efivarfs pstore bpf nsfs binfmt_misc'.split(
    ' ',
  ),
)
/** The same, as entries of a policy: what covers parts of it is a tmpfs. */
const kernelEntries = new Set(['proc', 'sysfs', 'dev', 'mqueue'])

/** What is known of a sandbox that something is to be mounted into. */
export interface MountedInto {
  /** With what its presets stand for. */
  readonly policy: StrictPolicy
  readonly plan: Plan
  /** Where relative paths of its policy start, and what its next run trusts besides. */
  readonly base: string
  readonly trusted: readonly string[]
  /** Its mounts. */
  readonly inside: readonly Mount[]
}

/** @throws {OptionError} when its policy lets nothing be mounted into it, or what is mounted would not hold */
export function requireMountable({ mounts, capabilities }: Policy, plan: Plan): void {
  if (mounts === 'fixed')
    throw new OptionError(words`nothing is mounted into this sandbox: its policy says ${setting('mounts', 'fixed')}`)
  if (ofKind(plan.world.init, 'pivot').length === 0)
    throw new OptionError(
      words`nothing is mounted into this sandbox: its mounts are not its own, ${key('namespaces.mount')}`,
    )
  // It owns the mount namespace: mount_namespaces(7). By its own /proc it finds each mount there.
  if (capabilities?.includes('CAP_SYS_ADMIN'))
    throw new OptionError(
      words`nothing is mounted into this sandbox: its payload has CAP_SYS_ADMIN, ${key('capabilities')}, and could make it writable`,
    )
}

/** @throws {OptionError} when this is not mounted there */
export function refuseMount(mount: AddedMount, sandbox: MountedInto): void {
  const { place } = mount
  if (place === '/') throw new OptionError('nothing is mounted on "/": it would hide the whole sandbox')
  const entries = (sandbox.policy.filesystem ?? []).map(kindOf)
  const kernel = [
    ...entries.filter(({ kind }) => kernelEntries.has(kind)).map((entry) => entry.place),
    ...sandbox.inside.filter(({ type }) => kernels.has(type)).map(({ path }) => path),
  ].find((path) => isWithin(place, path) || isWithin(path, place))
  if (kernel !== undefined)
    throw new OptionError(
      printable(
        `nothing is mounted on ${place}: ${kernel} shows the kernel or its devices, and covers what is kept from the payload`,
      ),
    )
  if (mount.writable) refuseWritable(mount, sandbox)
}

function refuseWritable({ place, source }: AddedMount, { policy, plan, base, trusted }: MountedInto): void {
  const entry = { bind: place, from: source, writable: true } as const
  const writable = writableEntries([entry], '/')
  const [kept] = keptOver(writable, () => trustedPaths(trusted)).get(entry) ?? []
  if (kept !== undefined)
    throw new OptionError(
      printable(`${source} is not mounted writable: it holds ${resolve(source, kept.path)}, which the next run trusts`),
      { hint: 'mount a directory that does not hold it, or this one read-only' },
    )
  // As if the mount were an entry of the policy, behind all others.
  const entries = [...(policy.filesystem ?? []), entry]
  const index = entries.length - 1
  const [other] = otherNames(entries, base, [{ ...writable[0]!, index }])
  if (other !== undefined)
    throw new OptionError(
      printable(
        `${source} is not mounted writable: ${other.real} is read-only in this sandbox, and could be written at ${other.seen}`,
      ),
      { hint: 'mount a directory that does not hold it, or this one read-only' },
    )
  const rules = hardening(plan, 'landlock').flatMap(({ files }) => files?.rules ?? [])
  if (rules.length === 0 || rules.some(({ path, grants }) => grants.includes('write') && isWithin(place, path))) return
  hasLandlock ??= ask((call) => call('landlock_create_ruleset', 0, 0, LANDLOCK.CREATE_RULESET_VERSION)) >= oldestAbi
  if (hasLandlock)
    throw new OptionError(
      words`${source} cannot be mounted writable on ${place}: Landlock lets the payload write only where its policy does`,
      { hint: words`choose a place in what is writable, or start the sandbox with ${setting('landlock', 'off')}` },
    )
}

/** Asked once: the kernel stays the same. */
let hasLandlock: boolean | undefined
