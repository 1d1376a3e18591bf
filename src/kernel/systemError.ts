/** Errors of Node's own calls, in words: Node has only the errno's name, and the call's. */
import { errnoMessage } from './errno.js'

/** What the calls that vial makes are to a reader. */
const verbs: Readonly<Record<string, string>> = {
  open: 'open',
  read: 'read',
  write: 'write',
  scandir: 'list',
  lstat: 'look at',
  stat: 'look at',
  access: 'look at',
  readlink: 'look at',
  mkdir: 'make',
  unlink: 'remove',
  rmdir: 'remove',
  rename: 'rename',
  chmod: 'change',
}

/** What to do about those that any call may give. */
export const systemHints: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many files open: see ulimit -n',
  EFBIG: 'this process may write no files as large as that: see ulimit -f',
  ENFILE: 'this host has too many files open: see sysctl fs.file-max',
}

/** `cannot open /a/b: Permission denied` of an error of Node's; the message of any other. */
export function systemFault(error: unknown): string {
  const { message, syscall, errno, path } = error as NodeJS.ErrnoException
  if (errno === undefined || syscall === undefined) return message
  const what = syscall.startsWith('spawn') ? 'run' : (verbs[syscall] ?? syscall)
  return `cannot ${what}${path === undefined ? '' : ` ${path}`}: ${errnoMessage(-errno)}`
}
