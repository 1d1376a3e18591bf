/** Policy → plan: vial's own face. */
import type { CheckedPolicy } from '../policy/schema.js'
import type { Face } from './face.js'
import type { Host } from './host.js'
import { lowerPolicy, type PlanOptions } from './lowerPolicy.js'
import { type Plan, planOf } from './plan.js'

export type { PlanOptions }

export const vialFace: Face = {
  order: {
    streams: ['closeFds', 'pipes', 'streams'],
    monitor: ['joinUser', 'dropGroups', 'newUser', 'newTime', 'joinOthers', 'dieWithParent'],
    watch: ['watch'],
    init: ['enterGroup', 'limitUsers', 'mounts', 'loopback', 'names'],
    once: ['identity', 'keyring', 'secureBits', 'noNewPrivs', 'capabilities'],
    prepare: ['directory'],
    shared: [],
    each: ['session', 'landlock', 'umask', 'rlimits', 'filter'],
  },
}

/** The plan of a complete policy (presets and fill already turned into `filesystem`). */
export function makePlan(policy: CheckedPolicy, host: Host, options: PlanOptions = {}): Plan {
  return planOf(lowerPolicy(policy, host, options), vialFace)
}
