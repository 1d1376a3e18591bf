/** Policy → plan: vial's own face. */
import type { CheckedPolicy } from '../policy/schema.js'
import type { Face } from './face.js'
import type { Host } from './host.js'
import { enterable, entering, shared } from './livingSandbox.js'
import { lowerPolicy, type PlanOptions } from './lowerPolicy.js'
import { withOwn } from './ownChoice.js'
import { type Plan, planOf } from './plan.js'

export type { PlanOptions }

export const vialFace: Face = {
  order: {
    streams: ['closeFds', 'log', 'pipes', 'streams'],
    monitor: ['joinUser', 'dropGroups', 'newUser', 'newTime', 'joinOthers', 'dieWithParent'],
    watch: ['watch'],
    init: ['enterGroup', 'handOut', 'limitUsers', 'mounts', 'loopback', 'names'],
    once: ['identity', 'keyring', 'secureBits', 'noNewPrivs', 'capabilities'],
    prepare: ['directory'],
    shared: [],
    each: ['session', 'landlock', 'umask', 'rlimits', 'filter'],
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

/** The plan of a complete policy (presets and fill already turned into `filesystem`). */
export function makePlan(policy: CheckedPolicy, host: Host, options: PlanOptions = {}): Plan {
  const specification = lowerPolicy(policy, host, options)
  const { living } = options
  return planOf(living === undefined ? specification : enterable(specification, living), vialFace)
}

/**
 * The plan of what enters a living sandbox of this policy, and is hardened as its payload is.
 * @throws {OptionError} when what it has of its own is more than that
 */
export function makeEntrantPlan(policy: CheckedPolicy, host: Host, options: PlanOptions = {}): Plan {
  const specification = withOwn(lowerPolicy(policy, host, options), policy, options.own ?? {})
  return { ...planOf(entering(specification), entrantFace), entrant: planOf(shared(specification), vialFace).entrant }
}
