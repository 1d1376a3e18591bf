/** Which limits this caller could hold a sandbox to, and by which control groups. */
import { askWay } from '../cgroup/findWay.js'
import { groupLimits } from '../policy/limits.js'
import type { Finding } from './finding.js'

/** Those that a host is expected to have. Others depend on the version of cgroups and on how the kernel was built. */
const usual = groupLimits.slice(0, 4)

/** Nothing is changed, but that systemd may give this process, which soon ends, a scope of its own. */
export function cgroupFinding(): Finding {
  const name = 'control groups'
  const asked = groupLimits.map((limit) => ({ limit, way: askWay([limit]) }))
  const closed = asked.flatMap(({ limit, way }) => ('missing' in way ? [limit] : []))
  const open = asked.flatMap(({ limit, way }) => ('missing' in way ? [] : [{ limit, by: way.name }]))
  const granted = open.length === 0 ? '' : `${open[0]!.by}: ${open.map(({ limit }) => limit).join(', ')}`
  const without = closed.length === 0 ? {} : { without: `limits of ${closed.join(', ')}` }
  // Together, so that one command grants all of them.
  const together = askWay(usual)
  if (!('missing' in together)) return { name, works: true, detail: granted, ...without }
  const { missing, ...repair } = together
  return { name, works: false, detail: [granted, missing].filter(Boolean).join('; '), ...without, ...repair }
}
