/** What the policy of a running sandbox comes to when it is compiled here and now: presets and `fill` stand for what the host has. */
import { type Compiled, compile } from '../compile/compile.js'
import { groupOf } from './recordedGroup.js'
import type { SandboxRecord } from './recordFile.js'

export function compiledAgain({
  policy,
  base,
  group,
  command,
}: Pick<SandboxRecord, 'policy' | 'base' | 'group' | 'command'>): Compiled {
  const option = group === undefined ? undefined : groupOf({ group, policy })
  const living = { holds: command === undefined }
  const descriptors = typeof policy.network === 'object' ? { network: 1 } : {}
  return compile(policy, {
    ...{ base, living, outputIsWatched: true, descriptors },
    ...(option === undefined ? {} : { group: option }),
  })
}
