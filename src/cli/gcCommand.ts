/** `vial gc`. */
import { allBases, collectGarbage } from '../cgroup/garbage.js'
import { collectCopies } from '../live/wholeCopies.js'
import { collectLayers } from '../live/workLayer.js'
import { attempt } from '../text/attempt.js'
import { printable } from '../text/printable.js'
import { write } from '../text/write.js'

export function gc(): void {
  const { removed: groups, kept } = collectGarbage(allBases())
  // Without a cache there is none.
  const layers = attempt(collectLayers) ?? { removed: [], finished: [] }
  const removed = [...groups, ...layers.removed, ...(attempt(collectCopies) ?? [])]
  for (const { path, changes, left } of layers.finished) {
    write(1, `finished a commit to ${printable(path)}: ${changes - left.length} of ${changes}\n`)
    for (const one of left) write(1, `left as it is: ${printable(one)}\n`)
  }
  for (const directory of removed) write(1, `removed ${directory}\n`)
  for (const { directory, why } of kept) write(1, `kept ${directory}: ${why}\n`)
  if (removed.length + kept.length === 0) write(1, 'nothing to remove\n')
}
