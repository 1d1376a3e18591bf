/** What the kernel tells a program at its start, above the environment: `linux/auxvec.h`; getauxval(3). In C: AT_NULL… */
export const auxv = { NULL: 0, UID: 11, EUID: 12, GID: 13, EGID: 14, SECURE: 23, EXECFN: 31 } as const
