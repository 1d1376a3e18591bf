/** The mounts of a process, as proc_pid_mountinfo(5) has them. */

export interface Mount {
  readonly id: number
  /** What it lies on; of a root, or in another namespace: none of the table. */
  readonly parent: number
  /** `major:minor` of its filesystem. */
  readonly device: string
  /** The directory, or file, of the filesystem that is its root. */
  readonly root: string
  readonly path: string
  /** Of the mount, such as `ro` and `nosuid`. */
  readonly flags: readonly string[]
  /** `shared:N` and its like: it is told of mounts elsewhere, or tells of its own. */
  readonly propagation: readonly string[]
  readonly type: string
  /** Of the filesystem. */
  readonly options: readonly string[]
}

export function mountTable(mountinfo: string): readonly Mount[] {
  return mountinfo.split('\n').flatMap((line): Mount[] => {
    const [left, right] = line.split(' - ')
    if (left === undefined || right === undefined) return []
    const [id, parent, device, root, path, flags, ...propagation] = left.split(' ')
    const [type, , options = ''] = right.split(' ')
    return [
      {
        id: Number(id),
        parent: Number(parent),
        device: device!,
        root: unescaped(root!),
        path: unescaped(path!),
        flags: flags!.split(','),
        propagation,
        type: type!,
        options: options.split(','),
      },
    ]
  })
}

/** A space, a tab, a newline and a backslash are written in octal, as `\040`. The bytes are those of UTF-8. */
const unescaped = (text: string) =>
  Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))),
    'latin1',
  ).toString()

/** What a path shows: which file or directory of which filesystem. */
export interface Shown {
  readonly device: string
  readonly root: string
}

/** Where the path leads, links aside. */
export function shownAt(table: readonly Mount[], path: string): Shown | undefined {
  // What lies on a mount is behind it in the table, but what covers a directory above may be there before.
  const top = table.find(({ path, parent }) => path === '/' && !table.some(({ id }) => id === parent))
  let at = top && topmost(table, top)
  if (at === undefined) return undefined
  for (let next: Mount | undefined = at; next !== undefined; ) {
    at = next
    next = deepest(table, at, path)
  }
  return { device: at.device, root: joined(at.root, path.slice(at.path === '/' ? 0 : at.path.length)) }
}

/** What lies over a mount at the same place. */
function topmost(table: readonly Mount[], mount: Mount): Mount {
  const over = table.find(({ parent, path, id }) => parent === mount.id && path === mount.path && id !== mount.id)
  return over === undefined ? mount : topmost(table, over)
}

/** Of those that lie directly on a mount, the one that covers the path. */
function deepest(table: readonly Mount[], mount: Mount, path: string): Mount | undefined {
  const covering = table.filter(
    (one) => one.parent === mount.id && one.id !== mount.id && one.path !== mount.path && covers(one.path, path),
  )
  const [first] = covering.sort((a, b) => a.path.length - b.path.length)
  return first && topmost(table, first)
}

const covers = (above: string, path: string) => above === '/' || path === above || path.startsWith(`${above}/`)

/** The path of something below the root of a mount. */
export const joined = (root: string, below: string) =>
  root === '/' ? below || '/' : `${root}${below === '/' ? '' : below}`
