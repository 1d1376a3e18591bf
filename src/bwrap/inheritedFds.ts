/** Which descriptors the caller gave: Node has opened its own among them, and marked all to be closed on exec. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/**
 * The caller's descriptors. Node's own are epolls, eventfds that do not block, and pipes of which both ends are here;
 * what a caller gives is hardly ever one of these, and the fast front, which is no Node, need not guess.
 */
export function inheritedFds(): ReadonlySet<number> {
  const names = new Map<number, string>()
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      names.set(Number(name), readlinkSync(`/proc/self/fd/${name}`))
    } catch {
      // The descriptor that the directory itself was read by.
    }
  }
  const own = (fd: number, name: string) => {
    if (fd <= 2) return false
    if (name === 'anon_inode:[eventpoll]' || name.startsWith('anon_inode:[io_uring]')) return true
    if (name === 'anon_inode:[eventfd]') return (flagsOf(fd) & nonBlocking) !== 0
    return name.startsWith('pipe:') && [...names].some(([other, same]) => other !== fd && other > 2 && same === name)
  }
  return new Set([...names].filter(([fd, name]) => !own(fd, name)).map(([fd]) => fd))
}

/** O_NONBLOCK, open(2). */
const nonBlocking = 0o4000

/** The flags of an open file, proc_pid_fdinfo(5). */
function flagsOf(fd: number): number {
  return Number.parseInt(/^flags:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0', 8)
}

/** Reads all of a descriptor, if it is one of the caller's. */
export function readInherited(fds: ReadonlySet<number>): (fd: number) => Buffer {
  return (fd) => {
    if (!fds.has(fd)) throw Object.assign(new Error('Bad file descriptor'), { code: 'EBADF' })
    return readFileSync(fd)
  }
}
