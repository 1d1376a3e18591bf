/** What a process has to become that is to be in a sandbox as its payload is: launcher/inside.ts. */
import type { InsideIdentity } from '../launcher/inside.js'
import { handsOutUser, type Plan } from '../plan/plan.js'
import { hardening } from './planSteps.js'

export function insideIdentity(plan: Plan): InsideIdentity {
  const [identity] = hardening(plan, 'identity')
  return {
    ownUser: handsOutUser(plan),
    identity: identity && { uid: identity.uid, gid: identity.gid, groups: identity.groups },
  }
}
