/** Plans, as tests change them. */
import type { Plan } from '../../src/plan/plan.js'
import type { Step } from '../../src/plan/step.js'

/** The plan with other steps in place of each: none, one or several. */
export function withSteps(plan: Plan, change: (step: Step) => readonly Step[]): Plan {
  const { world, entrant, start } = plan
  const changed = (steps: readonly Step[]) => steps.flatMap(change)
  return {
    world: { ...world, monitor: changed(world.monitor), init: changed(world.init) },
    entrant: { once: changed(entrant.once), shared: changed(entrant.shared), each: changed(entrant.each) },
    start: {
      ...start,
      streams: changed(start.streams),
      watch: changed(start.watch),
      prepare: changed(start.prepare),
    },
  }
}
