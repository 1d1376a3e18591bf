/** `vial gc`. */
import { allBases, collectGarbage } from '../cgroup/garbage.js'

export function gc(): void {
  const { removed, kept } = collectGarbage(allBases())
  for (const folder of removed) process.stdout.write(`removed ${folder}\n`)
  for (const { folder, why } of kept) process.stdout.write(`kept ${folder}: ${why}\n`)
  if (removed.length + kept.length === 0) process.stdout.write('nothing to remove\n')
}
