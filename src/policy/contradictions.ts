/** What no single key of a policy shows: keys that contradict, or need, one another. */
import { allowsTyping } from '../seccomp/evaluate.js'
import type { Fault } from '../text/error.js'
import { aside, words } from '../text/words.js'
import { type MountKind, mountKindNames } from './entries.js'
import { hiddenEntries, kindOf } from './hidden.js'
import { identityOf } from './identity.js'
import { faultAt, type KeyPath, key, setting } from './keys.js'
import { limitFaults } from './limits.js'
import { networkFaults } from './networkFaults.js'
import { normal } from './path.js'
import type { CheckedPolicy, Entry } from './schema.js'

/** Faults between keys, which no single key shows. */
export function contradictions(policy: CheckedPolicy): Fault[] {
  const faults: Fault[] = []
  const namespaces = policy.namespaces ?? {}
  const entries = policy.filesystem ?? []
  const isNew = (name: keyof typeof namespaces) => (namespaces[name] ?? 'new') === 'new'
  const needsNew = (name: keyof typeof namespaces) => words`needs ${setting(`namespaces.${name}`, 'new')}`
  if (policy.network !== undefined && namespaces.net !== undefined) {
    const agrees = policy.network === 'host' ? 'host' : 'new'
    const said = typeof policy.network === 'object' ? '{ allow }' : `"${policy.network}"`
    if (namespaces.net !== agrees) faults.push(faultAt('network', words`${said} contradicts ${key('namespaces.net')}`))
  }
  faults.push(...networkFaults(policy))
  if (policy.limits !== undefined) faults.push(...limitFaults(policy.limits, policy.rlimits ?? {}))
  if (!isNew('mount')) {
    if (entries.length > 0) faults.push(faultAt('filesystem', needsNew('mount')))
    if (policy.preset !== undefined || policy.fill !== undefined)
      faults.push(faultAt(policy.preset === undefined ? 'fill' : 'preset', needsNew('mount')))
  }
  if (!isNew('uts') && (policy.hostname !== undefined || policy.domainname !== undefined))
    faults.push(faultAt(policy.hostname === undefined ? 'domainname' : 'hostname', needsNew('uts')))
  faults.push(...joinFaults(namespaces))
  if (policy.init === 'payload' && !isNew('pid')) faults.push(faultAt('init', words`"payload" ${needsNew('pid')}`))
  if (policy.identity?.ranges !== undefined && !isNew('user')) faults.push(faultAt('identity.ranges', needsNew('user')))
  if (policy.disableUserns && !isNew('user'))
    faults.push(faultAt('disableUserns', words`${needsNew('user')}: the limit would be that of all others there`))
  if (policy.disableUserns && policy.capabilities?.includes('CAP_SYS_RESOURCE'))
    faults.push(
      faultAt(
        'disableUserns',
        words`contradicts CAP_SYS_RESOURCE in ${key('capabilities')}, which could raise the limit again`,
      ),
    )
  if (policy.session === 'host' && allowsTyping(policy.seccomp ?? 'default', policy.capabilities ?? []))
    faults.push(
      faultAt(
        'seccomp',
        words`must refuse the ioctls TIOCSTI and TIOCLINUX beside ${setting('session', 'host')}: the payload could type into the terminal`,
      ),
    )
  faults.push(...rangeFaults(policy), ...rlimitFaults(policy), ...hiddenFaults(entries))
  entries.forEach((entry, index) => {
    if ('bind' in entry && entry.beneath !== undefined && entry.fd !== undefined)
      faults.push(
        faultAt(
          `filesystem[${index}].bind`,
          'beneath is about links on the way of a path, and fd has none: leave one out',
        ),
      )
    if ('proc' in entry && namespaces.pid === 'host' && (entry.subset ?? entry.hidepid) !== undefined)
      faults.push(
        faultAt(`filesystem[${index}].proc`, words`subset and hidepid need ${setting('namespaces.pid', 'new')}`),
      )
    for (const kind of mountKindNames) {
      const place = (entry as Record<string, unknown>)[kind]
      if (typeof place !== 'string' || !Object.hasOwn(entry, kind)) continue
      if (normal(place) !== '/') continue
      const path = placeOf(index, kind)
      if (kind === 'bind' || kind === 'overlay') {
        if (policy.fill !== undefined)
          faults.push(
            faultAt(
              path,
              words`"/" shows everything, and ${key('fill')} only what a program needs: leave one of them out`,
            ),
          )
        else if (index > 0) faults.push(faultAt(path, '"/" hides all entries before it: it must be the first of all'))
      } else if (kind !== 'readonly')
        faults.push(faultAt(path, words`"/" is the root itself${aside(', whose size and writable are set by root')}`))
    }
  })
  return faults
}

const placeOf = (index: number, kind: MountKind) => `filesystem[${index}].${kind}` as KeyPath

/** The author meant something else, such as a read-only part of a writable directory. */
function hiddenFaults(entries: readonly Entry[]): Fault[] {
  const named = (index: number) => placeOf(index, kindOf(entries[index]!).kind)
  return hiddenEntries(entries).flatMap(({ index, by }) => {
    const { place } = kindOf(entries[by]!)
    // That one has a fault of its own.
    if (place === '/') return []
    return [faultAt(named(index), words`is hidden whole by ${key(named(by))} (${place}), which comes later`)]
  })
}

/**
 * setns(2) asks for capabilities in the user namespace that owns what is joined; in a new one the caller has none of any other.
 */
function joinFaults(namespaces: NonNullable<CheckedPolicy['namespaces']>): Fault[] {
  if ((namespaces.user ?? 'new') !== 'new') return []
  return (Object.keys(namespaces) as (keyof typeof namespaces)[]).flatMap((name) => {
    const joins = namespaces[name]
    if (name === 'user' || typeof joins !== 'object' || !('pid' in joins || 'path' in joins)) return []
    const owner = 'pid' in joins ? setting('namespaces.user', joins) : key('namespaces.user')
    return [
      faultAt(
        `namespaces.${name}`,
        words`cannot be joined from a new user namespace: join the one that owns it too (${owner}), or, for a caller who is root there, use ${setting('namespaces.user', 'host')}`,
      ),
    ]
  })
}

/** user_namespaces(7): no id has two meanings, inside or outside. */
function rangeFaults(policy: CheckedPolicy): Fault[] {
  const { ranges } = policy.identity ?? {}
  if (typeof ranges !== 'object') return []
  const identity = identityOf(policy)
  return (['uids', 'gids'] as const).flatMap((kind) => {
    const own = { inside: kind === 'uids' ? identity.uid : identity.gid, outside: -1, count: 1 }
    const lines = [own, ...ranges[kind]]
    return ranges[kind].flatMap((range, index) => {
      const path = `identity.ranges.${kind}[${index}]` as const
      const overlap = (side: 'inside' | 'outside') =>
        lines
          .slice(0, index + 1)
          .some((one) => one[side] < range[side] + range.count && range[side] < one[side] + one.count)
      if (Math.max(range.inside, range.outside) + range.count > 2 ** 32 - 1)
        return [faultAt(`${path}.count`, 'goes beyond the last id')]
      if (overlap('inside')) return [faultAt(`${path}.inside`, "overlaps an earlier range, or the payload's own id")]
      return overlap('outside') ? [faultAt(`${path}.outside`, 'overlaps an earlier range')] : []
    })
  })
}

function rlimitFaults(policy: CheckedPolicy): Fault[] {
  const rlimits = policy.rlimits ?? {}
  return (Object.keys(rlimits) as (keyof typeof rlimits)[]).flatMap((name) => {
    const value = rlimits[name]
    return value !== undefined && value.soft > value.hard ? [faultAt(`rlimits.${name}.soft`, 'is above hard')] : []
  })
}
