/** The limits of all processes of a sandbox together: what its cgroup holds, beside what was written there. */
import type { LimitWrite } from '../cgroup/group.js'
import { readText } from '../cgroup/groupFiles.js'
import { groupLimitsOf } from '../cgroup/limitWrites.js'
import { openGroup } from '../cgroup/openGroup.js'
import { type LimitUnit, limitRows } from '../policy/limitRows.js'
import type { GroupLimitName, Limits } from '../policy/limits.js'
import { type Agreement, agreementOfMost, agreementOfSets, fact, type InspectedFact } from './inspection.js'
import type { SandboxRecord } from './recordFile.js'

export function inspectLimits(
  { version, paths }: NonNullable<SandboxRecord['group']>,
  limits: Limits,
  holds: readonly GroupLimitName[],
  hasReaper: boolean,
): InspectedFact[] {
  const writes = openGroup(version, paths).writes(groupLimitsOf(limits, holds, hasReaper))
  return [...writes].map(({ limit, directory, write }) => {
    const [file, asked, kind] = write
    const found = readText(directory, file)?.trim()
    const name = `${limit}: ${file}`
    if (found === undefined) return fact(name, undefined, asked, 'differs')
    const agreement =
      kind === 'switch' ? ofWords(found, String(asked)) : comparisons[unitOf(limit)](found, String(asked))
    return fact(name, typeof asked === 'number' && /^\d+$/.test(found) ? Number(found) : found, asked, agreement)
  })
}

const unitOf = (limit: LimitWrite['limit']): LimitUnit => limitRows[limit].unit

/** How what a file holds compares with what was written there, by the unit of the limit. */
const comparisons: Readonly<Record<LimitUnit, (found: string, asked: string) => Agreement>> = {
  size: ofBytes,
  positiveSize: ofBytes,
  hugePages: ofBytes,
  disk: ofBytes,
  count: (found, asked) => agreementOfMost(numberOf(found), Number(asked)),
  time: (found, asked) => agreementOfMost(numberOf(found), Number(asked)),
  // A quota and its period: one says nothing without the other.
  cores: ofWords,
  weight: ofWords,
  rates: ofWords,
  cpus: (found, asked) => agreementOfSets(cpusIn(found), cpusIn(asked)),
}

/** No limit is `max` in v2, and -1 or the most that the kernel counts in v1. */
const numberOf = (text: string) => (text === 'max' || text.startsWith('-') ? Number.POSITIVE_INFINITY : Number(text))

/** The kernel rounds down to pages, of 4 to 64 KiB. */
function ofBytes(found: string, asked: string): Agreement {
  const [bytes, most] = [numberOf(found), Number(asked)]
  const isRounded = [2 ** 12, 2 ** 14, 2 ** 16].some((page) => bytes === most - (most % page))
  return isRounded ? 'asked' : agreementOfMost(bytes, most)
}

/** A line for each device, with more words than were written. */
function ofWords(found: string, asked: string): Agreement {
  const words = asked.split(' ')
  const isThere = found.split('\n').some((line) => words.every((word) => line.split(' ').includes(word)))
  return isThere ? 'asked' : 'differs'
}

/** `0-2,5`: cpuset(7). */
function cpusIn(text: string): string[] {
  return text.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last! - first! + 1 }, (_, index) => String(first! + index))
  })
}
