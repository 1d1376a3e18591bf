/** Landlock rules from the mounts of a plan: everything may be read, and written only beneath what is writable. */

import type { Grant } from '../kernel/landlock.js'
import { setting } from '../policy/keys.js'
import type { Policy } from '../policy/schema.js'
import { words } from '../text/words.js'
import { nests } from './nesting.js'
import { ancestors } from './rootTree.js'
import type { LandlockRule, Step } from './step.js'

export interface LandlockContext {
  readonly newMount: boolean
  readonly passFds: readonly number[]
}

const doesWithout = words`${setting('landlock', 'on')} does without`

/**
 * The step that restricts the payload; none for a policy that turns it off, or whose payload is to mount: a restricted
 * process never may, landlock(7).
 */
export function landlockStep(policy: Policy, init: readonly Step[], context: LandlockContext): Step[] {
  const setting = policy.landlock ?? 'on'
  if (setting === 'off' || (setting === 'on' && nests(policy))) return []
  return [
    {
      do: 'landlock',
      required: setting === 'required',
      files: context.newMount ? { rules: landlockRules(init), streams: [0, 1, 2], passed: context.passFds } : undefined,
      what: 'restrict the payload by Landlock',
      why: context.newMount
        ? 'a second wall behind the mounts: no write but where one is writable, no signal and no abstract socket outside'
        : 'no signal and no abstract socket reaches outside',
      hints: {
        ENOSYS: words`this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK): ${doesWithout}`,
        EOPNOTSUPP: words`Landlock is not among the modules that this kernel was booted with (lsm=…): ${doesWithout}`,
        EINVAL: words`the Landlock of this kernel is older than Linux 5.19: ${doesWithout}`,
        E2BIG: 'there are 16 Landlock restrictions already, more cannot be stacked',
      },
    },
  ]
}

/** One rule for each writable mount, but for those that lie beneath another which gives as much. */
export function landlockRules(init: readonly Step[]): LandlockRule[] {
  const found = new Map<string, Set<Grant>>([['', new Set(['read'])]])
  const clear = (path: string) => {
    for (const known of [...found.keys()]) if (known === path || known.startsWith(`${path}/`)) found.delete(known)
  }
  const put = (path: string, ...grants: Grant[]) => {
    clear(path)
    if (grants.length > 0) found.set(path, new Set(grants))
  }
  const sealed = init.some((step) => step.do === 'sealRoot')
  for (const step of init) {
    switch (step.do) {
      case 'rootTmpfs':
        if (!sealed) found.get('')!.add('write')
        break
      case 'rootBind':
        if (!step.flags.readonly) found.get('')!.add('write')
        if (!step.flags.nodev) found.get('')!.add('device')
        break
      case 'overlay':
        if (step.place.path !== '.') put(step.place.path, ...(step.flags.readonly ? [] : ['write' as const]))
        else if (!step.flags.readonly) found.get('')!.add('write')
        break
      case 'mount':
        if (step.flags.readonly) put(step.place.path)
        // mq_open(3) names no path: ipc/mqueue.c opens a queue in the kernel's own mount of the filesystem. Rules are for inodes, and the
        // root of both mounts is one; what is above it here is not above it there.
        else if (step.type === 'mqueue') put(step.place.path, 'write', 'queue')
        else put(step.place.path, step.type === 'proc' ? 'modify' : step.type === 'devpts' ? 'device' : 'write')
        break
      case 'bind':
      case 'console':
      case 'mountFile': {
        const { path } = step.place
        const above = ancestors(path).at(-1)
        // Where a directory holds device nodes, one rule is for all of them.
        if (!step.flags.nodev && above !== undefined && found.has(above)) found.get(above)!.add('device')
        else if (!step.flags.nodev) put(path, 'device', ...(step.flags.readonly ? [] : ['write' as const]))
        else put(path, ...(step.flags.readonly ? [] : ['write' as const]))
        break
      }
      case 'readonly':
        // Mounted on itself, as writable as it was.
        if (!step.flags.readonly) break
        if (step.recursive) clear(step.place.path)
        else found.delete(step.place.path)
        break
    }
  }
  if (!found.has('')) found.set('', new Set(['read']))
  const given = (path: string, grant: Grant) => {
    const set = found.get(path)
    return set !== undefined && (set.has(grant) || (grant === 'modify' && set.has('write')))
  }
  return [...found]
    .filter(([path, grants]) => ![...grants].every((grant) => above(path).some((one) => given(one, grant))))
    .map(([path, grants]) => ({ path: `/${path}`, grants: [...grants] }))
}

const above = (path: string) => (path === '' ? [] : ['', ...ancestors(path)])
