/** A request in bwrap's words → plan: the face of bwrap(1). */
import type { Face } from '../plan/face.js'
import { type Plan, planOf } from '../plan/plan.js'
import type { BwrapRequest } from './bwrapRequest.js'
import { inBwrapsWords } from './bwrapWords.js'
import { type Ids, lowerRequest } from './lowerRequest.js'

export const bwrapFace: Face = {
  order: {
    streams: [],
    monitor: ['processName', 'callersCapabilities', 'joinUser', 'joinOthers', 'dieWithParent'],
    watch: [],
    init: [
      'closeMonitors',
      'awaitRelease',
      'mapUser',
      'identity',
      'loopback',
      'openInner',
      'mounts',
      'names',
      'joinInner',
      'innerUser',
      'assertNoUser',
    ],
    once: ['noNewPrivs', 'capabilities'],
    prepare: ['block', 'readFilters', 'lockFiles', 'directory'],
    shared: ['session'],
    each: ['dropSpare', 'closeHeld', 'filters'],
  },
  reword: inBwrapsWords,
}

/**
 * The plan of a request by a caller with these ids.
 * @throws {BwrapContradiction} in bwrap's words.
 */
export function bwrapPlan(request: BwrapRequest, caller: Ids): Plan {
  return planOf(lowerRequest(request, caller), bwrapFace)
}
