/** `vial gc`. */
import { allBases, collectGarbage } from '../cgroup/garbage.js'

export function gc(): void {
  const removed = collectGarbage(allBases())
  for (const folder of removed) process.stdout.write(`removed ${folder}\n`)
  if (removed.length === 0) process.stdout.write('nothing to remove\n')
}
