/** What limits come to in the files of a group: which value is in which file, and writing it. */
import { errnoMessage } from '../kernel/errno.js'
import { type HugePage, hugePages } from '../kernel/hugePages.js'
import { faultAt } from '../policy/keys.js'
import { limitRows } from '../policy/limitRows.js'
import { controllerOf, type GroupLimitName, type Limits, writtenLimits } from '../policy/limits.js'
import { LimitsError } from '../text/error.js'
import type { GroupLimits, LimitWrite, Write, Writes } from './group.js'
import { CannotLimit, writeValue } from './groupFiles.js'

/**
 * What a group is given: pid 1 is one process more, and where nothing is said of swap there is none.
 * @param holds the limits that it holds; swap goes with memory
 */
export function groupLimitsOf(limits: Limits, holds: readonly GroupLimitName[], hasReaper: boolean): GroupLimits {
  const { pids = 0, hugepages = {}, swap = 0 } = limits
  const pages = Object.entries(hugepages).map(([size, bytes]) => [hugePages[size as HugePage], bytes])
  const values = { ...limits, swap, pids: pids + (hasReaper ? 1 : 0), hugepages: Object.fromEntries(pages) }
  const isHeld = (name: string) => holds.some((one) => one === (name === 'swap' ? 'memory' : name))
  return Object.fromEntries(Object.entries(values).filter(([name]) => isHeld(name)))
}

/**
 * In the order of the limits' rows. The directories are there, with the files that this kernel has.
 * @param directoryOf where the group lies that this controller looks at
 * @throws {LimitsError} when this version, or this kernel, cannot do it
 */
export function* limitWrites(
  version: 1 | 2,
  directoryOf: (controller: string) => string,
  writes: Writes,
  limits: GroupLimits,
): Generator<LimitWrite> {
  for (const limit of writtenLimits) {
    const value = limits[limit]
    if (value === undefined) continue
    const way = writes[limit] as
      | ((value: unknown, directory: string, limits: GroupLimits) => readonly Write[])
      | undefined
    try {
      const file = limitRows[limit][`v${version}`]
      if (file === undefined) throw new CannotLimit(`cgroup v${version} cannot do it`)
      const directory = directoryOf(controllerOf(file))
      for (const write of way?.(value, directory, limits) ?? [[file, value as string | number] as const])
        yield { limit, directory, write }
    } catch (error) {
      throw aboutLimit(limit, error)
    }
  }
}

/** @throws {LimitsError} when the kernel does not take one of them */
export function writeLimits(...all: Parameters<typeof limitWrites>): void {
  for (const { limit, directory, write } of limitWrites(...all)) {
    const [file, value] = write
    try {
      writeValue(directory, file, value)
    } catch (error) {
      throw aboutLimit(limit, error)
    }
  }
}

/** The error with the limit that it is about. */
function aboutLimit(name: keyof GroupLimits, error: unknown): Error {
  const { code, errno, path, message } = error as NodeJS.ErrnoException
  if (error instanceof CannotLimit)
    return LimitsError.at(faultAt(`limits.${name}`, message), { hint: error.hint, cause: error })
  if (errno === undefined) return error as Error
  return LimitsError.at(faultAt(`limits.${name}`, `the kernel does not take it: ${path}: ${errnoMessage(-errno)}`), {
    code,
    cause: error,
  })
}
