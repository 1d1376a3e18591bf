/** The kinds of namespaces, namespaces(7): all that differs between them in names and numbers, in the order of most need. */
import { CLONE } from './flags.js'

/** `file` is its name in /proc/PID/ns, which its sysctl has too; `flag` is for clone(2), unshare(2) and setns(2). */
export const namespaces = {
  user: { file: 'user', flag: CLONE.NEWUSER },
  mount: { file: 'mnt', flag: CLONE.NEWNS },
  pid: { file: 'pid', flag: CLONE.NEWPID },
  net: { file: 'net', flag: CLONE.NEWNET },
  ipc: { file: 'ipc', flag: CLONE.NEWIPC },
  uts: { file: 'uts', flag: CLONE.NEWUTS },
  cgroup: { file: 'cgroup', flag: CLONE.NEWCGROUP },
  time: { file: 'time', flag: CLONE.NEWTIME },
} as const satisfies Record<string, { file: string; flag: number }>

export type NamespaceName = keyof typeof namespaces
export const namespaceNames = Object.keys(namespaces) as readonly NamespaceName[]

/** The flags of several. */
export const cloneFlags = (names: readonly NamespaceName[]): number =>
  names.reduce((all, name) => all | namespaces[name].flag, 0)

/** Each that clone(2) can make: of the low byte of its flags, where CLONE_NEWTIME is, it makes the signal (CSIGNAL). */
export const madeByClone = namespaceNames.filter((name) => namespaces[name].flag > 0xff)

/** The sysctl that says how many there may be in a user namespace: user_table[] of kernel/ucount.c. */
export const limitOf = (name: NamespaceName): string => `user.max_${namespaces[name].file}_namespaces`
/** Its file. */
export const limitFileOf = (name: NamespaceName): string => `/proc/sys/${limitOf(name).replace('.', '/')}`
