/**
 * The profile `default`: what everyday programs call. What is not here either has no namespace, so that it would reach
 * the whole machine (clocks, keys, modules, swap…), or is a large part of the kernel that such programs do without
 * (bpf, perf, io_uring, userfaultfd, new mounts…). docs/seccomp.md says why for each.
 */
import { cloneFlags, madeByClone } from '../../kernel/namespaces.js'
import type { SeccompProfile } from '../profileSchema.js'
import { absent, everyday } from './everyday.js'
import { fcntlRules } from './fcntl.js'
import { int } from './int.js'
import { ioctlRules } from './ioctls.js'
import { processRules } from './others.js'
import { socketRules } from './sockets.js'

const newNamespace = cloneFlags(madeByClone)

/** S_IFIFO, S_IFREG, S_IFSOCK and none, which means S_IFREG: everything but device nodes; mknod(2). */
const fileTypes = { mask: 0xf000, in: [0, 0x1000, 0x8000, 0xc000] }
/** PER_LINUX, PER_LINUX32, both with UNAME26, and the question which it is: none weakens a program; personality(2). */
const personalities = [0, 0x8, 0x20000, 0x20008, 0xffffffff]

export const defaultProfile: SeccompProfile = {
  default: { errno: 'EPERM' },
  rules: [
    { calls: [...everyday], do: 'allow' },
    { calls: [...absent], do: { errno: 'ENOSYS' } },
    { calls: ['clone'], when: [{ arg: 0, mask: newNamespace, eq: 0 }], do: 'allow' },
    ...fcntlRules,
    ...ioctlRules,
    ...socketRules,
    ...processRules,
    { calls: ['mknod', 'mknodat'], capability: 'CAP_MKNOD', do: 'allow' },
    { calls: ['mknod'], when: [{ arg: 1, ...fileTypes }], do: 'allow' },
    { calls: ['mknodat'], when: [{ arg: 2, ...fileTypes }], do: 'allow' },
    { calls: ['personality'], when: [{ arg: 0, mask: int, in: personalities }], do: 'allow' },
    { calls: ['chroot'], capability: 'CAP_SYS_CHROOT', do: 'allow' },
    { calls: ['sethostname', 'setdomainname'], capability: 'CAP_SYS_ADMIN', do: 'allow' },
    {
      calls: ['adjtimex', 'clock_adjtime', 'clock_settime', 'settimeofday'],
      capability: 'CAP_SYS_TIME',
      do: 'allow',
    },
    {
      calls: ['get_mempolicy', 'mbind', 'migrate_pages', 'move_pages', 'set_mempolicy', 'set_mempolicy_home_node'],
      capability: 'CAP_SYS_NICE',
      do: 'allow',
    },
  ],
}
