/** `vial gc`. */
import { allBases, collectGarbage } from '../cgroup/garbage.js'
import { collectLayers } from '../live/workLayer.js'
import { attempt } from '../text/attempt.js'
import { write } from '../text/write.js'

export function gc(): void {
  const { removed: groups, kept } = collectGarbage(allBases())
  // Without a cache there is none.
  const removed = [...groups, ...(attempt(collectLayers) ?? [])]
  for (const directory of removed) write(1, `removed ${directory}\n`)
  for (const { directory, why } of kept) write(1, `kept ${directory}: ${why}\n`)
  if (removed.length + kept.length === 0) write(1, 'nothing to remove\n')
}
