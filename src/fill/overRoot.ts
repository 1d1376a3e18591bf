/** A preset where the policy shows a whole root, such as the host's own "/": what is laid over that root. */
import { resolve } from 'node:path'
import { kindOf } from '../policy/hidden.js'
import { isWithin } from '../policy/path.js'
import type { Entry, FilesystemEntry, Policy } from '../policy/schema.js'
import { authoritiesFile } from './authorities.js'
import type { FillEntry } from './entry.js'
import { heldBy } from './heldBy.js'
import { type NetworkChoice, nameFiles, ownResolver, resolverFile, showsNameFiles } from './hostNames.js'
import { systemEntries } from './system.js'

/** Directories of the host's services, processes and other users, in whose place the sandbox has its own. */
export const ownOverRoot: readonly string[] = ['/proc', '/dev', '/tmp', '/var/tmp', '/run']
/** In a root that is read-only no place can be made, so it lies in what is the sandbox's own. */
export const homeOverRoot = '/tmp/home'

/** Whether the first entry is the root itself. */
export function showsRoot({ filesystem = [] }: Pick<Policy, 'filesystem'>): boolean {
  const [first] = filesystem
  return first !== undefined && ('bind' in first || 'overlay' in first) && kindOf(first).place === '/'
}

/** What lies over that root, before the other entries of the policy. */
export function overRoot(policy: NetworkChoice & Pick<Policy, 'filesystem'>, base: string): Entry[] {
  const [root, ...others] = policy.filesystem!
  const own: Entry[] = [
    { proc: '/proc' },
    { dev: '/dev' },
    { tmpfs: '/tmp', mode: 0o1777 },
    { tmpfs: homeOverRoot, mode: 0o700 },
    ...heldBy(layersOf(root!, base)).map((tmpfs) => (tmpfs === '/run' ? { tmpfs } : { tmpfs, mode: 0o1777 })),
    ...(isHost(root!, base) ? stillShown(policy) : []),
    ...(authoritiesFile(policy, layersOf(root!, base)) as Entry[]),
  ]
  const taken = others.filter((entry) => !('readonly' in entry || 'chmod' in entry)).map((entry) => kindOf(entry).place)
  return own.filter((entry) => !taken.includes(kindOf(entry).place))
}

/** What programs need of the directories that the sandbox has anew: NixOS has its programs in /run, resolv.conf is often a link there. */
function stillShown(policy: NetworkChoice): Entry[] {
  const names = showsNameFiles(policy) ? nameFiles() : []
  // Where the root has a link, what it leads to is shown at its own place.
  const files = names.map(
    (entry): FillEntry => ('from' in entry && entry.from !== undefined ? { bind: entry.from } : entry),
  )
  const entries = [...systemEntries(), ...files] as Entry[]
  const shown = entries.filter((entry) => ownOverRoot.some((own) => isWithin(kindOf(entry).place, own)))
  const resolver = ownResolver(policy)
  return resolver === undefined ? shown : [...shown, ...ownResolverFile(resolver)]
}

/** Where the host's is; on a root that is read-only there is no place for one that it lacks. */
function ownResolverFile(content: string): Entry[] {
  const [found] = nameFiles()
  if (found === undefined || !('bind' in found) || found.bind !== resolverFile || found.from === undefined) return []
  const isOwn = ownOverRoot.some((own) => isWithin(found.from!, own))
  return [{ file: found.from, content, ...(isOwn ? {} : { mount: 'readonly' as const }) }]
}

/** The host directories that a root is made of. Of a descriptor nothing can be told from outside. */
export function layersOf(root: FilesystemEntry, base: string): string[] {
  if ('fd' in root && root.fd !== undefined) return []
  const paths = 'bind' in root ? [root.from ?? root.bind] : 'overlay' in root ? root.lower : []
  return paths.map((path) => resolve(base, path))
}

const isHost = (root: FilesystemEntry, base: string) => layersOf(root, base).includes('/')
