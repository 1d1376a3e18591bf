/**
 * The one walk over the path of a cache. Each directory on the real way is looked at, with those that hold a link on the way. When each of
 * them can be changed by the caller and root only, the real path that comes out means the same directory from then on.
 *
 * The front walks for itself, from the directory upwards (front/lookAbove.ts), by the same rules: `trusted` of front/format.ts.
 */
import { lstatSync, mkdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { trusted } from '../front/format.js'
import { walkPath } from '../kernel/pathWalk.js'
import { isUnmapped } from '../policy/unmapped.js'

export interface Walk {
  /** `make` (default): what is not there is made, with mode 0700; `refuse`: an error. */
  readonly missing?: 'make' | 'refuse'
  /** Default: root and the caller, and what is as good as these. `front`: only what the front trusts, which is these two. */
  readonly trusts?: 'front'
}

/**
 * The real path of the caller's own directory that `path` leads to.
 * @throws {Error} when another user could make the path lead elsewhere, or write in the directory; the message says what to do
 */
export function trustedDirectory(path: string, { missing = 'make', trusts }: Walk = {}): string {
  const strict = trusts === 'front'
  requireDirectory('/', lstatSync('/'), strict)
  const real = walkPath(path, {
    at(next) {
      if (missing === 'make') makeDirectory(next)
      const status = lstatSync(next)
      if (!status.isSymbolicLink()) {
        requireDirectory(next, status, strict)
        return undefined
      }
      requireOwner(next, status, strict)
      return readlinkSync(next)
    },
  })
  if (real === undefined) throw new Error(`${path} is a loop of symbolic links`)
  requireOwn(real, lstatSync(real))
  return real
}

/**
 * Makes a directory in one that is trusted, unless it is there.
 * @throws {Error} when what is there is a link, or is not only the caller's
 */
export function ownDirectory(path: string): string {
  makeDirectory(path)
  requireOwn(path, lstatSync(path))
  return path
}

/** Whether it is still there, and the caller's alone. */
export function isOwnDirectory(path: string): boolean {
  try {
    requireOwn(path, lstatSync(path))
    return true
  } catch {
    return false
  }
}

function makeDirectory(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** @throws {Error} when it is no directory, or not only the caller's; the message says what to do */
export function requireOwn(path: string, status: Stats): void {
  if (!status.isDirectory()) throw new Error(`${path} is not a directory`)
  if (status.uid !== process.geteuid!()) throw new Error(`${path} belongs to another user, uid ${status.uid}`)
  if ((status.mode & trusted.writers.any) !== 0) throw new Error(`others can write to ${path}: chmod go-w ${path}`)
}

function requireDirectory(path: string, status: Stats, strict: boolean): void {
  requireOwner(path, status, strict)
  if (!status.isDirectory()) throw new Error(`${path} is not a directory`)
  const writers = status.mode & trusted.writers.any
  if (writers === 0 || (status.mode & trusted.sticky) !== 0) return
  if ((writers & trusted.writers.world) !== 0) throw new Error(`others can write to ${path}: chmod o-w ${path}`)
  if (strict || !isPrivateGroup(status.gid))
    throw new Error(`the group ${status.gid}, which is not the caller's alone, can write to ${path}: chmod g-w ${path}`)
}

function requireOwner(path: string, { uid }: Stats, strict: boolean): void {
  if (uid === 0 || uid === process.geteuid!() || (!strict && isUnmapped(uid))) return
  throw new Error(`${path} belongs to another user, uid ${uid}, who could exchange it`)
}

/**
 * Whether a group is the caller's alone: the primary group of this account and of no other, of the same name, without other
 * members: passwd(5), group(5). Accounts that these files do not hold cannot be counted, and so are not trusted.
 */
function isPrivateGroup(gid: number): boolean {
  try {
    const rows = (path: string) =>
      readFileSync(path, 'utf8')
        .split('\n')
        .map((line) => line.split(':'))
    const users = rows('/etc/passwd').filter(([, , , group]) => group === String(gid))
    const groups = rows('/etc/group').filter(([, , group]) => group === String(gid))
    const [name, , uid] = users[0] ?? []
    return (
      users.length === 1 &&
      Number(uid) === process.geteuid!() &&
      groups.length > 0 &&
      groups.every(([group, , , members = '']) => group === name && (members === '' || members === name))
    )
  } catch {
    return false
  }
}
