/** Landlock rules from the mounts of a plan: everything may be read, and written only beneath what is writable. */
import type { Grant } from '../kernel/landlock.js'
import { ancestors } from './rootTree.js'
import type { LandlockRule, Step } from './step.js'

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
