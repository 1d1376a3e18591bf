/** Policies whose payloads are compared: each changes one thing of the default, or a few that belong together. */
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { noGroups } from '../support/needs.js'

export interface Compared {
  readonly policy: StrictPolicy
  /** Only root can make it. */
  readonly byRoot?: true
  readonly skip?: () => string | false
}

const rootMode = { user: 'host' } as const
const someCapabilities = ['CAP_CHOWN', 'CAP_NET_BIND_SERVICE', 'CAP_SYS_CHROOT'] as const
const all = Object.keys(capabilities) as CapabilityName[]
const ids = { uid: 0, gid: 0, ranges: { uids: [{ inside: 1, outside: 1, count: 65534 }], gids: [] } }

export const policies: Readonly<Record<string, Compared>> = {
  default: { policy: {} },
  'the empty root': { policy: { preset: 'empty' } },
  'the network of the host': { policy: { network: 'host' } },
  'namespaces of the host': {
    policy: { namespaces: { net: 'host', ipc: 'host', uts: 'host', cgroup: 'host', time: 'host' } },
  },
  'the mounts of the host': { policy: { namespaces: { mount: 'host' } } },
  'a joined namespace': {
    policy: { namespaces: { ...rootMode, ipc: { path: '/proc/self/ns/ipc' } } },
    byRoot: true,
  },
  'a clock of its own': { policy: { namespaces: { time: { boottime: 1000 } } } },
  'root mode': { policy: { namespaces: rootMode }, byRoot: true },
  'root mode, as root': { policy: { namespaces: rootMode, identity: { uid: 0, gid: 0 } }, byRoot: true },
  'root mode, as another user, with capabilities': {
    policy: { namespaces: rootMode, identity: { uid: 1234, gid: 1235 }, capabilities: [...someCapabilities] },
    byRoot: true,
  },
  'root inside': { policy: { identity: { uid: 0, gid: 0 } } },
  'ranges of ids': { policy: { identity: ids, capabilities: ['CAP_SETUID', 'CAP_SETGID'] }, byRoot: true },
  'a range of ids for another user': {
    policy: {
      identity: {
        uid: 1000,
        gid: 1000,
        ranges: {
          uids: [{ inside: 0, outside: 700_000, count: 100 }],
          gids: [{ inside: 5, outside: 800_000, count: 7 }],
        },
      },
    },
    byRoot: true,
  },
  capabilities: { policy: { capabilities: [...someCapabilities] } },
  'all capabilities, and nothing behind them': {
    policy: {
      capabilities: all,
      seccomp: 'none',
      landlock: 'off',
      identity: { uid: 0, gid: 0 },
      filesystem: [{ proc: '/proc', masked: false }],
    },
  },
  'the strict filter': { policy: { seccomp: 'strict' } },
  'the nested filter': { policy: { seccomp: 'nested', filesystem: [{ proc: '/proc', masked: false }] } },
  'no filter': { policy: { seccomp: 'none' } },
  'no filter and no Landlock': { policy: { seccomp: 'none', landlock: 'off' } },
  'a filter of its own': {
    policy: {
      seccomp: {
        default: 'allow',
        rules: [
          { calls: ['mount'], do: { errno: 'EXDEV' } },
          { calls: ['umount2', 'chroot'], do: 'kill' },
          { calls: ['fsopen'], do: 'trap' },
          { calls: ['acct'], do: { trace: 7 } },
          { calls: ['socket'], when: [{ arg: 0, eq: 1 }], do: { errno: 0 } },
        ],
      },
    },
  },
  'no Landlock': { policy: { landlock: 'off' } },
  'no more user namespaces': { policy: { disableUserns: true, seccomp: 'none' } },
  "the caller's session": { policy: { session: 'host' } },
  'a sandbox that its starter does not end': { policy: { dieWithParent: false } },
  'a writable root and other mounts': {
    policy: {
      root: { writable: true, size: '1M' },
      filesystem: [{ tmpfs: '/work', size: '1M' }, { directory: '/etc/more' }, { sysfs: '/sys' }],
    },
  },
  'limits of each process': {
    policy: {
      rlimits: { nofile: 70, fsize: '512K', as: '256M', memlock: 0, nproc: 5000, stack: '1M', rttime: 1000000 },
    },
  },
  'limits of all': {
    policy: { limits: { memory: '64M', pids: 50 } },
    skip: () => noGroups('memory', 'pids'),
  },
  'limits of all, in a cgroup that it sees': {
    policy: { limits: { memory: '64M', pids: 50 }, namespaces: { cgroup: 'host' } },
    skip: () => noGroups('memory', 'pids'),
  },
  'names, variables and places of its own': {
    policy: {
      hostname: 'contract',
      domainname: 'example',
      cwd: '/tmp',
      umask: 0o027,
      argv0: 'named',
      env: { set: { B: '1', A: '2', HOME: '/set' }, inherit: ['HOME', 'P*', 'XDG_*'] },
    },
  },
  'all variables of the caller': { policy: { env: { set: { PATH: '/bin', NEW: '1' }, inherit: true } } },
}
