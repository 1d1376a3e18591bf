/** The maps of ids of a sandbox's user namespace, and what its payload's ids are outside: user_namespaces(7). */
import { textOf } from '../cgroup/privilege.js'
import type { Plan } from '../plan/plan.js'
import type { IdMap } from '../plan/step.js'
import { agreementOfSets, fact, type InspectedFact } from './inspection.js'
import { hardening, ofKind } from './planSteps.js'
import type { ProcessFacts } from './readProcess.js'

/** A sandbox, as far as its ids are concerned. */
interface Identified {
  readonly plan: Plan
  /** Its user is the caller, and its groups are those that were left to it. */
  readonly monitor: ProcessFacts
  readonly init: ProcessFacts
}

const kinds = [
  { of: 'uids', map: 'uidMap', file: 'uid_map' },
  { of: 'gids', map: 'gidMap', file: 'gid_map' },
] as const satisfies readonly {
  readonly of: Exclude<keyof IdMap, 'byHelper'>
  readonly map: keyof ProcessFacts
  readonly file: string
}[]
type Kind = (typeof kinds)[number]

export function idFacts(identified: Identified): InspectedFact[] {
  return kinds.map((kind) => {
    const found = linesOf(identified.init[kind.map])
    const asked = askedLines(identified, kind)
    return fact(kind.file, found, asked, asked === undefined ? 'untold' : agreementOfSets(found, asked))
  })
}

/** Undefined: the user namespace is one that was there before. */
function askedLines({ plan, monitor }: Identified, { of, file }: Kind): readonly string[] | undefined {
  const { monitor: steps } = plan.world
  const [made] = ofKind(steps, 'newUser')
  const number = (id: number | 'caller') => (id === 'caller' ? monitor[of][0] : id)
  if (made !== undefined)
    return made.map[of].map(({ inside, outside, count }) => `${number(inside)} ${number(outside)} ${count}`)
  const joins = ofKind(steps, 'join').some(({ namespace }) => namespace === 'user')
  return joins ? undefined : linesOf(textOf(`/proc/self/${file}`))
}

/** `inside outside count`. */
const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim().replace(/ +/g, ' '))
    .filter(Boolean)

/** Whether a process inside can be the host's root. */
export const ownsHost = ({ uidMap }: ProcessFacts): boolean =>
  linesOf(uidMap).some((line) => line.split(' ')[1] === '0')

/** Those that the payload takes on, as they are mapped, or its caller's. */
export function idsOutside(identified: Identified): { readonly uid: number; readonly gid: number } {
  const { plan, monitor, init } = identified
  const [identity] = hardening(plan, 'identity')
  const isMapped = [...ofKind(plan.world.monitor, 'newUser'), ...ofKind(plan.world.monitor, 'join')].length > 0
  const [uid, gid] = kinds.map(({ of, map }) => {
    if (identity === undefined) return monitor[of][0]!
    const inside = of === 'uids' ? identity.uid : identity.gid
    return isMapped ? mapped(linesOf(init[map]), inside) : inside
  })
  return { uid: uid!, gid: gid! }
}

function mapped(lines: readonly string[], id: number): number {
  for (const line of lines) {
    const [inside, outside, count] = line.split(' ').map(Number)
    if (id >= inside! && id < inside! + count!) return outside! + id - inside!
  }
  return id
}
