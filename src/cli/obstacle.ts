/** What stands between the caller and a file of the host, in words: Node has only the name of an error. */
import { existsSync, lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { errnoMessage } from '../kernel/errno.js'
import { didYouMean } from '../text/closest.js'

export interface Obstacle {
  /** The name on the way, or at its end, at which it ends. */
  readonly at: string
  readonly kind: 'missing' | 'dangling' | 'loop' | 'closed' | 'not a directory' | 'dead' | 'other'
  readonly words: string
}

/** Walks to a file, name by name; undefined: it is there. Nothing is opened but the directory in which a name is missing. */
export function obstacleTo(path: string): Obstacle | undefined {
  if (existsSync(path)) return undefined
  const names = resolve(path).split('/').slice(1)
  for (let count = 0; count <= names.length; count++) {
    const at = `/${names.slice(0, count).join('/')}`
    const error = errorOf(() => statSync(at))
    if (error !== undefined) return { at, ...describe(at, error) }
  }
  return undefined
}

/** As path_resolution(7) has the errors. */
function describe(at: string, { code, errno }: NodeJS.ErrnoException): Omit<Obstacle, 'at'> {
  const above = dirname(at)
  const target = linkAt(at)
  const name = target === undefined ? at : `${at} is a symbolic link to ${target}`
  switch (code) {
    case 'ENOENT':
      return target === undefined
        ? { kind: 'missing', words: `${at} does not exist${near(at)}` }
        : { kind: 'dangling', words: `${name}, which does not exist` }
    case 'ELOOP':
      return { kind: 'loop', words: `${name}, which leads in a circle` }
    case 'EACCES':
      return target === undefined
        ? { kind: 'closed', words: `${above} is closed to this user` }
        : { kind: 'closed', words: `${name}, and a directory on the way to that is closed to this user` }
    case 'ENOTDIR':
      return target === undefined
        ? { kind: 'not a directory', words: `${above} is not a directory` }
        : { kind: 'not a directory', words: `${name}, and a name on the way to that is not a directory` }
    // Of a mount whose server has ended: fuse_lookup() in fs/fuse/dir.c by way of fuse_simple_request().
    case 'ENOTCONN':
      return { kind: 'dead', words: `${at} is a FUSE mount whose server has ended: fusermount3 -u ${at}` }
    default:
      return { kind: 'other', words: `${at}: ${errno === undefined ? code : errnoMessage(-errno)}` }
  }
}

function near(at: string): string {
  try {
    return didYouMean(basename(at), readdirSync(dirname(at)))
  } catch {
    return ''
  }
}

function linkAt(path: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined
  } catch {
    return undefined
  }
}

function errorOf(action: () => unknown): NodeJS.ErrnoException | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    return error as NodeJS.ErrnoException
  }
}

/** What open(2), or rename(2) onto it, says of a file to which nothing else stands in the way. */
const ownWords: Readonly<Record<string, { readonly read: string; readonly write: string }>> = {
  EACCES: { read: 'it is closed to this user', write: 'this user may not write there' },
  EPERM: { read: 'it is closed to this user', write: 'this user may not write there' },
  EISDIR: { read: 'it is a directory', write: 'it is a directory' },
  EROFS: { read: 'it lies on a read-only filesystem', write: 'it lies on a read-only filesystem' },
  ENOSPC: { read: 'no room is left', write: 'no room is left on its filesystem' },
  EDQUOT: { read: 'no room is left', write: "this user's quota is used up" },
  ETXTBSY: { read: 'it is being executed', write: 'it is being executed' },
  EBUSY: { read: 'it is in use', write: 'it is a mount, or a directory in use' },
  ENAMETOOLONG: { read: 'its name is too long', write: 'its name is too long' },
}

/**
 * Why a file that the command line names cannot be read or written.
 * @param error what Node threw
 */
export function fileFault(error: unknown, path: string, access: 'read' | 'write'): string {
  const { code = '', errno, message } = error as NodeJS.ErrnoException
  const obstacle = obstacleTo(path)
  // What is to be written need not be there.
  const first =
    access === 'write' && obstacle?.kind === 'missing' && obstacle.at === resolve(path)
      ? obstacleTo(dirname(resolve(path)))
      : obstacle
  if (first !== undefined) return first.words
  return ownWords[code]?.[access] ?? (errno === undefined ? message : errnoMessage(-errno))
}
