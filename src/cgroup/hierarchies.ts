/** Which hierarchies are mounted, and where in each this process is: cgroups(7), proc_pid_mountinfo(5). */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemFault } from '../kernel/systemError.js'
import { HostError } from '../text/error.js'

export interface Hierarchy {
  readonly version: 1 | 2
  /** v1: its controllers. v2 says them in files of its own. */
  readonly controllers: readonly string[]
  /** Where its topmost visible group is mounted. */
  readonly mount: string
  /** The directory of this process's own group; undefined when it is not visible in this mount. */
  readonly own: string | undefined
}

/** What this process sees, or what such texts as these say. */
export function hierarchies(
  mountinfo = procText('/proc/self/mountinfo'),
  cgroup = procText('/proc/self/cgroup'),
): Hierarchy[] {
  const places = cgroup
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, names = '', ...path] = line.split(':')
      return { names: names.split(',').filter(Boolean), path: path.join(':') }
    })
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [left, right] = line.split(' - ')
    if (left === undefined || right === undefined) return []
    const [, , , root = '/', mount = ''] = left.split(' ').map(unescaped)
    const [type, , options = ''] = right.split(' ')
    if (type === 'cgroup2') {
      const place = places.find(({ names }) => names.length === 0)
      return [{ version: 2, controllers: [], mount, own: place && within(mount, root, place.path) }]
    }
    if (type !== 'cgroup') return []
    const words = options.split(',')
    const place = places.find(({ names }) => names.length > 0 && names.every((name) => words.includes(name)))
    if (place === undefined) return []
    return [{ version: 1, controllers: place.names, mount, own: within(mount, root, place.path) }]
  })
}

function procText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new HostError(systemFault(error), {
      code: (error as NodeJS.ErrnoException).code,
      hint: '/proc tells the cgroups of a process: mount -t proc proc /proc',
      cause: error,
    })
  }
}

/** The directory of group `path` where the group `root` is mounted on `mount`. */
function within(mount: string, root: string, path: string): string | undefined {
  if (path.startsWith('/..')) return undefined
  if (path === root) return mount
  if (root === '/') return join(mount, path)
  return path.startsWith(`${root}/`) ? join(mount, path.slice(root.length)) : undefined
}

/** A space is written `\040`. */
const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
