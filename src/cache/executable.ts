/** A vial that was looked at, and is executed by the descriptor that it was looked at through: no path is resolved twice. */
import { closeSync, constants, existsSync, fstatSync, openSync } from 'node:fs'

/** The caller closes the descriptor. */
export interface OpenVial {
  readonly fd: number
  /** For a host without /proc: only the caller and root can make it lead elsewhere. */
  readonly path: string
}

/** The path alone, for others to execute. */
export function pathOf({ fd, path }: OpenVial): string {
  closeSync(fd)
  return path
}

/** O_PATH of `asm-generic/fcntl.h`, the same on both architectures; Node does not name it. */
export const O_PATH = 0o10000000

const nameOf = (fd: number) => `/proc/self/fd/${fd}`

/**
 * Calls `action` with a name that execve(2) takes for the very file of the descriptor, and then closes it. The descriptor closes
 * itself as the file is executed, which is after the name was resolved.
 * @param least numbers below this are given away by then: the child's own descriptors
 */
export function withName<Value>({ fd, path }: OpenVial, least: number, action: (name: string) => Value): Value {
  const opened = [fd]
  try {
    if (!existsSync(nameOf(fd))) return action(path)
    while (opened.at(-1)! < least) opened.push(openSync(nameOf(fd), O_PATH))
    return action(nameOf(opened.at(-1)!))
  } finally {
    for (const one of opened) closeSync(one)
  }
}

/** What does not change while a file stays as it is: inode(7), ctime. */
interface Identity {
  readonly path: string
  readonly numbers: readonly number[]
}

export function identityOf({ fd, path }: OpenVial): Identity {
  const { dev, ino, ctimeMs, size, nlink } = fstatSync(fd)
  return { path, numbers: [dev, ino, ctimeMs, size, nlink] }
}

/** Opens a file that was looked at before; undefined: it is gone, or has changed since. */
export function reopen(known: Identity): OpenVial | undefined {
  let fd: number
  try {
    fd = openSync(known.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    return undefined
  }
  const found = identityOf({ fd, path: known.path })
  if (found.numbers.every((number, index) => number === known.numbers[index])) return { fd, path: known.path }
  closeSync(fd)
  return undefined
}
