/** Which ids of the host the sandbox's user namespace has, and as which. */
import type { CheckedPolicy } from '../policy/schema.js'
import type { IdMap, MapLine } from './step.js'

/** A line of subuid(5) or subgid(5). */
export interface SubidRange {
  readonly start: number
  readonly count: number
}

export interface Subids {
  readonly uids: readonly SubidRange[]
  readonly gids: readonly SubidRange[]
}

/** @param subids those of the caller, for `ranges: 'subids'` */
export function idMap(
  policy: CheckedPolicy,
  identity: { uid: number; gid: number },
  subids: Subids | undefined,
): IdMap {
  const ranges = policy.identity?.ranges
  const own = (inside: number): MapLine => ({ inside, outside: 'caller', count: 1 })
  if (ranges === undefined) return { uids: [own(identity.uid)], gids: [own(identity.gid)], byHelper: false }
  if (ranges !== 'subids') {
    return { uids: [own(identity.uid), ...ranges.uids], gids: [own(identity.gid), ...ranges.gids], byHelper: true }
  }
  return {
    uids: around(identity.uid, subids?.uids ?? []),
    gids: around(identity.gid, subids?.gids ?? []),
    byHelper: true,
  }
}

/** The caller at `own`, and the subordinate ids at 0, 1, 2… around it. */
function around(own: number, ranges: readonly SubidRange[]): MapLine[] {
  const lines: MapLine[] = [{ inside: own, outside: 'caller', count: 1 }]
  let next = 0
  for (let { start, count } of ranges)
    while (count > 0) {
      if (next === own) next++
      const fits = next < own ? Math.min(count, own - next) : count
      lines.push({ inside: next, outside: start, count: fits })
      next += fits
      start += fits
      count -= fits
    }
  return lines
}

/** A map of one user and one group. */
export const oneToOne = (inside: SandboxIds, outside: SandboxIds): IdMap => ({
  uids: [{ inside: inside.uid, outside: outside.uid, count: 1 }],
  gids: [{ inside: inside.gid, outside: outside.gid, count: 1 }],
  byHelper: false,
})
interface SandboxIds {
  readonly uid: number
  readonly gid: number
}
