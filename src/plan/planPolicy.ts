/** Policy → plan: vial's own face. */
import type { Architecture } from '../kernel/architecture.js'
import type { CheckedPolicy } from '../policy/schema.js'
import type { Face } from './face.js'
import { letsServe, slotCalls } from './gateCalls.js'
import type { Host } from './host.js'
import { enterable, entering, housing, serving, shared } from './livingSandbox.js'
import { lowerPolicy, type PlanOptions } from './lowerPolicy.js'
import { numbered } from './namedDescriptors.js'
import { withOwn } from './ownChoice.js'
import { type Entrant, type Plan, planOf } from './plan.js'
import type { Specification } from './specification.js'
import type { Step, StepKind } from './step.js'

export type { PlanOptions }

export const vialFace: Face = {
  order: {
    streams: ['closeFds', 'log', 'pipes', 'streams', 'takeStreams'],
    monitor: ['joinUser', 'dropGroups', 'newUser', 'newTime', 'joinOthers', 'dieWithParent'],
    watch: ['watch'],
    init: ['enterGroup', 'handOut', 'privateNetwork', 'limitUsers', 'mounts', 'loopback', 'listen', 'names'],
    once: ['identity', 'keyring', 'secureBits', 'noNewPrivs', 'capabilities'],
    prepare: ['directory'],
    shared: [],
    each: ['session', 'terminal', 'landlock', 'umask', 'rlimits', 'filter'],
  },
}

/** Of what enters a sandbox that runs. */
export const entrantFace: Face = {
  order: {
    ...vialFace.order,
    monitor: ['findSandbox', 'joinUser', 'joinOthers', 'dieWithParent'],
    init: ['joinPid', 'waitOutside', 'enterGroup', 'joinGroups'],
  },
}

/** Of what enters a sandbox that runs for many commands, each of which is a child. */
export const gateFace: Face = {
  order: {
    ...entrantFace.order,
    init: ['joinPid', 'serve', 'enterGroup', 'joinGroups'],
  },
}

/** Of what makes sandboxes, each for one command. */
export const houseFace: Face = {
  order: {
    ...vialFace.order,
    streams: ['closeFds', 'house', 'streams'],
    each: [...vialFace.order.each, 'takeCommand'],
  },
}

/** The plan of a complete policy (presets and fill already turned into `filesystem`). */
export function makePlan(policy: CheckedPolicy, host: Host, options: PlanOptions = {}): Plan {
  const specification = lowerPolicy(policy, host, options)
  const { living } = options
  if (options.houses)
    return housePlan(specification, host.architecture, numbered(options.descriptors ?? {}).control[0]!)
  return planOf(living === undefined ? specification : enterable(specification, living), vialFace)
}

/**
 * The plan of what enters a living sandbox of this policy, and is hardened as its payload is.
 * @throws {OptionError} when what it has of its own is more than that
 */
export function makeEntrantPlan(policy: CheckedPolicy, host: Host, options: PlanOptions = {}): Plan {
  // Of its network the sandbox has made what there is.
  const inside = typeof policy.network === 'object' ? { ...policy, network: undefined } : policy
  const specification = withOwn(lowerPolicy(inside, host, options), policy, options.own ?? {})
  const { entrant } = planOf(shared(specification), vialFace)
  if (options.serves) {
    const control = numbered(options.descriptors ?? {}).control[0]!
    return gatePlan(specification, entrant, control, host.architecture)
  }
  return { ...planOf(entering(specification), entrantFace), entrant }
}

/**
 * A slot takes its command behind all that hardens it, but for the filter where that would not let it do so. The working directory is the
 * command's.
 */
function housePlan(specification: Specification, architecture: Architecture, control: number): Plan {
  const plan = planOf(housing(specification, control), houseFace)
  const { entrant, start } = plan
  const is = (step: Step, ...kinds: readonly StepKind[]) => kinds.includes(step.do)
  const others = entrant.each.filter((step) => !is(step, 'filter', 'takeCommand'))
  const filters = entrant.each.filter((step) => is(step, 'filter'))
  const takes = entrant.each.filter((step) => is(step, 'takeCommand'))
  const lets = filters.every(
    (step) => step.do !== 'filter' || letsServe(step.program, architecture, [], slotCalls(architecture)),
  )
  const last = lets ? [...filters, ...takes, ...start.prepare] : [...takes, ...start.prepare, ...filters]
  return { ...plan, entrant: { ...entrant, each: [...others, ...last] }, start: { ...start, prepare: [] } }
}

/**
 * What each command inherits, the gate does once: the filter too, where the gate can live with it. Not where a command is another user: the
 * gate is then to be out of that one's reach; nor where it is in a cgroup, which the gate is not, and which is entered with the privileges
 * that are given up.
 */
function gatePlan(specification: Specification, entrant: Entrant, control: number, architecture: Architecture): Plan {
  const plan = planOf(serving(specification, control), gateFace)
  if (specification.ids.change !== undefined || specification.limits.group !== undefined) return { ...plan, entrant }
  const { once, shared, each } = entrant
  // It writes no core, and the filter keeps the payload from changing that.
  const harmless = each.filter((step) => step.do === 'landlock' || (step.do === 'rlimit' && step.name === 'core'))
  const rest = each.filter((step) => !harmless.includes(step))
  const filters = rest.filter((step) => step.do === 'filter' && letsServe(step.program, architecture, rest))
  const serves = plan.world.init.findIndex((step) => step.do === 'serve')
  const init = [...plan.world.init.slice(0, serves), ...once, ...harmless, ...filters, ...plan.world.init.slice(serves)]
  const own = { once: [], shared, each: rest.filter((step) => !filters.includes(step)) }
  return { ...plan, world: { ...plan.world, init }, entrant: own }
}
