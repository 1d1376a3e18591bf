/** A group that was made before, by another process. */
import type { Group } from './group.js'
import { openV1 } from './v1.js'
import { GroupV2 } from './v2.js'

/** By what its maker wrote down of it. */
export function openGroup(version: Group['version'], directories: readonly string[]): Group {
  return version === 2 ? new GroupV2(directories[0]!) : openV1(directories)
}
