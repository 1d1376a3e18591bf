/** What makes the slots of a policy. */
import type { AcceptedPolicy } from '../policy/check.js'
import { boxSlots } from './boxSlots.js'
import { HouseSlots, isHoused } from './houseSlots.js'
import type { SlotMaker } from './slots.js'

/** @throws {VialError} where the policy has faults, or needs a cgroup and there is none */
export const slotsOf = (policy: AcceptedPolicy, base: string): SlotMaker =>
  isHoused(policy) ? new HouseSlots(policy, base) : boxSlots(policy, base)
