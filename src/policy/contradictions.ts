/** What no single key of a policy shows: keys that contradict, or need, one another. */
import { allowsTyping } from '../seccomp/evaluate.js'
import { hiddenEntries, kindOf } from './hidden.js'
import { identityOf } from './identity.js'
import { mountKindNames } from './kinds.js'
import { limitFaults } from './limits.js'
import { normal } from './path.js'
import type { FilesystemEntry, Policy } from './schema.js'
import { parseSize } from './units.js'

/** Faults between keys, which no single key shows. */
export function contradictions(policy: Policy): string[] {
  const faults: string[] = []
  const namespaces = policy.namespaces ?? {}
  const entries = policy.filesystem ?? []
  if (policy.network === 'host' && namespaces.net !== undefined && namespaces.net !== 'host')
    faults.push('network: "host" contradicts namespaces.net')
  if (policy.network === 'none' && namespaces.net !== undefined && namespaces.net !== 'new')
    faults.push('network: "none" contradicts namespaces.net')
  if (policy.limits !== undefined) faults.push(...limitFaults(policy.limits, policy.rlimits ?? {}))
  if ((namespaces.mount ?? 'new') !== 'new') {
    if (entries.length > 0) faults.push('filesystem: needs namespaces.mount to be "new"')
    if (policy.preset !== undefined || policy.fill !== undefined)
      faults.push(`${policy.preset === undefined ? 'fill' : 'preset'}: needs namespaces.mount to be "new"`)
  }
  if ((namespaces.uts ?? 'new') !== 'new' && (policy.hostname !== undefined || policy.domainname !== undefined))
    faults.push(`${policy.hostname === undefined ? 'domainname' : 'hostname'}: needs namespaces.uts to be "new"`)
  faults.push(...joinFaults(namespaces))
  if (policy.init === 'payload' && (namespaces.pid ?? 'new') !== 'new')
    faults.push('init: "payload" needs namespaces.pid to be "new"')
  if (policy.identity?.ranges !== undefined && (namespaces.user ?? 'new') !== 'new')
    faults.push('identity.ranges: needs namespaces.user to be "new"')
  if (policy.disableUserns && (namespaces.user ?? 'new') !== 'new')
    faults.push('disableUserns: needs namespaces.user to be "new", for the limit would be that of all others there')
  if (policy.disableUserns && policy.capabilities?.includes('CAP_SYS_RESOURCE'))
    faults.push('disableUserns: contradicts CAP_SYS_RESOURCE in capabilities, which could raise the limit again')
  if (policy.session === 'host' && allowsTyping(policy.seccomp ?? 'default', policy.capabilities ?? []))
    faults.push(
      'seccomp: must refuse the ioctls TIOCSTI and TIOCLINUX where session is "host": the payload could type into the terminal',
    )
  faults.push(...rangeFaults(policy), ...rlimitFaults(policy), ...hiddenFaults(entries))
  entries.forEach((entry, index) => {
    if ('bind' in entry && entry.beneath !== undefined && entry.fd !== undefined)
      faults.push(
        `filesystem[${index}].bind: beneath is about links on the way of a path, and fd has none: leave one out`,
      )
    if ('proc' in entry && namespaces.pid === 'host' && (entry.subset ?? entry.hidepid) !== undefined)
      faults.push(`filesystem[${index}].proc: subset and hidepid need a pid namespace of its own`)
    for (const kind of mountKindNames) {
      const place = (entry as Record<string, unknown>)[kind]
      if (typeof place !== 'string' || !Object.hasOwn(entry, kind)) continue
      if (normal(place) !== '/') continue
      if (kind === 'bind' || kind === 'overlay') {
        if (policy.fill !== undefined)
          faults.push(
            `filesystem[${index}].${kind}: "/" shows everything, and fill only what a program needs: leave one of them out`,
          )
        else if (index > 0)
          faults.push(`filesystem[${index}].${kind}: "/" hides all entries before it: it must be the first of all`)
      } else if (kind !== 'readonly') faults.push(`filesystem[${index}].${kind}: "/" is the root itself: see root`)
    }
  })
  return faults
}

/** Whoever wrote them meant something else, such as a read-only part of a writable directory. */
function hiddenFaults(entries: readonly FilesystemEntry[]): string[] {
  const named = (index: number) => `filesystem[${index}].${kindOf(entries[index]!).kind}`
  return hiddenEntries(entries).flatMap(({ index, by }) => {
    const { place } = kindOf(entries[by]!)
    // That one has a fault of its own.
    if (place === '/') return []
    return [`${named(index)}: is hidden whole by ${named(by)} (${place}), which comes later`]
  })
}

/**
 * setns(2) asks for capabilities in the user namespace that owns what is joined; in a new one the caller has none of any other.
 */
function joinFaults(namespaces: NonNullable<Policy['namespaces']>): string[] {
  if ((namespaces.user ?? 'new') !== 'new') return []
  return Object.entries(namespaces).flatMap(([name, setting]) => {
    const joins = typeof setting === 'object' && ('pid' in setting || 'path' in setting)
    if (name === 'user' || !joins) return []
    const owner = 'pid' in setting ? `{ "pid": ${setting.pid} }` : 'the one that owns it'
    return [
      `namespaces.${name}: cannot be joined from a new user namespace: set namespaces.user to ${owner}, or, for a caller who is root there, to "host"`,
    ]
  })
}

/** user_namespaces(7): no id has two meanings, inside or outside. */
function rangeFaults(policy: Policy): string[] {
  const { ranges } = policy.identity ?? {}
  if (typeof ranges !== 'object') return []
  const identity = identityOf(policy)
  return (['uids', 'gids'] as const).flatMap((kind) => {
    const own = { inside: kind === 'uids' ? identity.uid : identity.gid, outside: -1, count: 1 }
    const lines = [own, ...ranges[kind]]
    return ranges[kind].flatMap((range, index) => {
      const path = `identity.ranges.${kind}[${index}]`
      const overlap = (side: 'inside' | 'outside') =>
        lines
          .slice(0, index + 1)
          .some((one) => one[side] < range[side] + range.count && range[side] < one[side] + one.count)
      if (Math.max(range.inside, range.outside) + range.count > 2 ** 32 - 1)
        return [`${path}.count: goes beyond the last id`]
      if (overlap('inside')) return [`${path}.inside: overlaps an earlier range, or the payload's own id`]
      return overlap('outside') ? [`${path}.outside: overlaps an earlier range`] : []
    })
  })
}

function rlimitFaults(policy: Policy): string[] {
  const number = (value: number | string) => (value === 'unlimited' ? Number.POSITIVE_INFINITY : parseSize(value)!)
  return Object.entries(policy.rlimits ?? {}).flatMap(([name, value]) =>
    typeof value === 'object' && number(value.soft) > number(value.hard) ? [`rlimits.${name}.soft: is above hard`] : [],
  )
}
