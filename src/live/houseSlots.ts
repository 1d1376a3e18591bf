/**
 * Slots of a pool that one process makes for Node.js, the house (launcher/house.ts): for a command there is one frame there, and the
 * result comes back. For policies whose sandboxes need nothing more of Node.js, such as a cgroup; boxSlots.ts has the others.
 */
import { type Compiled, compileAccepted } from '../compile/compile.js'
import { frameType, most } from '../launcher/frame.js'
import type { AcceptedPolicy } from '../policy/check.js'
import { entryFds } from '../policy/entries.js'
import { Limiter } from '../run/limiter.js'
import { readOutcome } from '../run/status.js'
import { HostError } from '../text/error.js'
import { type Frame, frameAbout } from './frames.js'
import { HousedSlot } from './housedSlot.js'
import { type GateProcess, startGate, takeFrames } from './openGate.js'
import type { Slot, SlotMaker } from './slots.js'

/** @throws {LimitsError} where the policy has limits that need a cgroup, and there is none */
export function isHoused({ checked }: AcceptedPolicy): boolean {
  const { namespaces = {}, session = 'new', init = 'reaper', limits, filesystem } = checked
  if ((namespaces.pid ?? 'new') !== 'new' || session !== 'new' || init !== 'reaper') return false
  if (entryFds(filesystem).length > 0) return false
  return limits === undefined || new Limiter(checked).option() === undefined
}

export class HouseSlots implements SlotMaker {
  readonly #policy: AcceptedPolicy
  readonly #base: string
  readonly #compiled: Compiled
  #house: GateProcess | undefined
  readonly #slots = new Map<number, HousedSlot>()
  /** Who waits for a row of the house's table. */
  readonly #waiting: (() => void)[] = []
  #last = 0

  /** @throws {PolicyError} where the policy has faults that only this host shows */
  constructor(policy: AcceptedPolicy, base: string) {
    this.#policy = policy
    this.#base = base
    this.#compiled = compileAccepted(policy, {
      base,
      houses: true,
      perRun: true,
      descriptors: { payload: 3, status: 1, control: 1 },
      outputIsWatched: true,
    })
  }

  async make(): Promise<Slot> {
    while (this.#slots.size >= most.slots) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    const house = this.#started()
    this.#last = (this.#last + 1) % 2 ** 32
    const id = this.#last
    const write = (frame: Buffer) => this.#slots.has(id) && house.control.write(frame)
    const slot = new HousedSlot(id, { policy: this.#policy, base: this.#base, compiled: this.#compiled, write })
    this.#slots.set(id, slot)
    write(frameAbout(id, 'make'))
    return slot.ready
  }

  async close(): Promise<void> {
    const house = this.#house
    if (house === undefined) return
    house.control.end()
    await house.ended.catch(() => {})
  }

  #started(): GateProcess {
    if (this.#house !== undefined) return this.#house
    const house = startGate(this.#compiled, [])
    this.#house = house
    const lost = (settle: (slot: HousedSlot) => void) => {
      if (this.#house === house) this.#house = undefined
      const left = [...this.#slots.values()]
      this.#slots.clear()
      for (const slot of left) settle(slot)
      for (const go of this.#waiting.splice(0)) go()
    }
    takeFrames(house, (frame) => this.#take(frame)).then(
      (outcome) => lost((slot) => slot.lose(outcome, new HostError('what made the sandboxes of the pool was killed'))),
      (error: unknown) => lost((slot) => slot.lose({}, error)),
    )
    return house
  }

  #take(frame: Frame): void {
    const slot = this.#slots.get(frame.id)
    if (slot === undefined) return
    // What could not even be begun has no process whose end is told.
    const unmade = frame.type === frameType.ended && !slot.isMade && readOutcome(frame.body).payload === undefined
    slot.take(frame)
    if (frame.type !== frameType.gone && !unmade) return
    this.#slots.delete(frame.id)
    slot.gone()
    this.#waiting.shift()?.()
  }
}
