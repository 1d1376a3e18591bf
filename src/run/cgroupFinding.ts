/** Which limits this caller could hold a sandbox to, and by which control groups. */
import { askWay } from '../cgroup/find.js'
import { groupLimits } from '../policy/limits.js'
import type { Finding } from './findings.js'

/** Nothing is changed, but that systemd may give this process, which soon ends, a scope of its own. */
export function cgroupFinding(): Finding {
  const name = 'control groups'
  const asked = groupLimits.map((limit) => ({ limit, way: askWay([limit]) }))
  const closed = asked.flatMap(({ limit, way }) => ('missing' in way ? [limit] : []))
  const open = asked.flatMap(({ limit, way }) => ('missing' in way ? [] : [{ limit, by: way.name }]))
  const granted = open.length === 0 ? '' : `${open[0]!.by}: ${open.map(({ limit }) => limit).join(', ')}`
  // Together, so that one command grants all of them.
  const together = closed.length === 0 ? undefined : askWay(closed)
  if (together === undefined || !('missing' in together)) return { name, works: true, detail: granted }
  const { missing, remedy } = together
  return {
    name,
    works: false,
    detail: [granted, missing].filter(Boolean).join('; '),
    without: `limits of ${closed.join(', ')}, unless limits.required is false`,
    repair: remedy,
  }
}
