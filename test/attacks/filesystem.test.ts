import { join } from 'node:path'
import type { Policy } from '../../src/index.js'
import { attacks, holding, open } from './attack.js'
import type { Scene } from './scene.js'

const hidden = ['ENOENT']
const writable = { ...open, root: { writable: true } }
/** The host's /proc, as root of the host sees it. */
const hostProc: Partial<Policy> = {
  ...open,
  namespaces: { pid: 'host' },
  identity: { uid: 0, gid: 0 },
  filesystem: [{ bind: '/proc', from: '/proc', writable: true }],
}

await attacks('reaching files', [
  {
    tries: 'a lease on a file that it may only read, for which all others then wait',
    words: ['lease', '/shown/secret'],
    refused: ['EINVAL'],
    shows: ({ directory }) => [{ bind: '/shown', from: directory }],
    weak: open,
    // Of others' files only with CAP_LEASE.
    weakIn: ['ordinary user', 'root'],
  },
  {
    tries: "signals about a directory's changes",
    words: ['dnotify', '/shown'],
    refused: ['EINVAL'],
    shows: ({ directory }) => [{ bind: '/shown', from: directory }],
    weak: open,
  },
  {
    tries: "a host file by its host's path",
    words: ({ secret }) => ['read', secret],
    refused: hidden,
    weak: ({ secret }) => ({ filesystem: [{ bind: secret }] }),
  },
  {
    tries: 'a host file behind many ".."',
    words: ({ secret }) => ['climb', secret],
    refused: hidden,
    weak: ({ secret }) => ({ filesystem: [{ bind: secret }] }),
  },
  {
    tries: 'a host file through the magic links of /proc/self',
    words: ({ secret }) => ['climb-magic', secret],
    refused: hidden,
    weak: ({ secret }) => ({ filesystem: [{ bind: secret }] }),
  },
  {
    tries: 'a host file by the root of pid 1',
    words: ['list', '/proc/1/root/etc'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the working directory of pid 1',
    words: ['list', '/proc/1/cwd/'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the descriptors of pid 1',
    words: ['reopen', '1'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the environment of pid 1',
    words: ['read', '/proc/1/environ'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the memory of pid 1',
    words: ['read-write', '/proc/1/mem'],
    refused: ['EACCES', 'EROFS'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the vial itself by /proc/1/exe (CVE-2019-5736)',
    words: ['read', '/proc/1/exe'],
    refused: ['EACCES'],
    weak: { ...open, init: 'payload' },
  },
  {
    tries: 'the password hashes of the host',
    words: ['read', '/etc/shadow'],
    refused: hidden,
    weak: { ...open, identity: { uid: 0, gid: 0 }, filesystem: [{ bind: '/etc/shadow' }] },
    weakIn: ['root', 'root mode'],
  },
  {
    tries: "root's home",
    words: ['list', '/root'],
    refused: hidden,
    weak: { ...open, identity: { uid: 0, gid: 0 }, filesystem: [{ bind: '/root' }] },
    weakIn: ['root', 'root mode'],
  },
  {
    tries: 'a control group',
    words: ['list', '/sys/fs/cgroup'],
    refused: hidden,
    weak: { ...open, filesystem: [{ bind: '/sys/fs/cgroup' }] },
  },
  {
    tries: "the host's devices",
    words: ['list', '/dev/char'],
    refused: hidden,
    weak: { ...open, filesystem: [{ bind: '/dev/char', from: '/dev' }] },
  },
  {
    tries: 'a way out of a chroot of its own',
    words: ({ secret }) => ['chroot-escape', secret],
    refused: ['EPERM'],
    weak: ({ secret }) => ({ ...holding('CAP_SYS_CHROOT'), filesystem: [{ bind: secret }] }),
  },
  {
    tries: 'a file by its handle (open_by_handle_at)',
    words: ['by-handle', '/usr'],
    refused: ['EPERM'],
    // An overlay has handles only by its option nfs_export: Documentation/filesystems/overlayfs.rst.
    lacking: 'EOPNOTSUPP',
    weak: holding('CAP_DAC_READ_SEARCH'),
    weakIn: ['root mode'],
  },
  {
    tries: 'a handle of a file',
    words: ['name-to-handle', '/usr'],
    refused: ['EPERM'],
    lacking: 'EOPNOTSUPP',
    weak: open,
  },
  {
    tries: "what is done with a host file, by its host's path (inotify)",
    words: ({ secret }) => ['watch', secret],
    refused: hidden,
    weak: ({ secret }) => ({ filesystem: [{ bind: secret }] }),
  },
  ...['console', 'fuse', 'kmsg', 'kvm', 'mem', 'net/tun', 'uinput', 'userfaultfd', 'vhost-vsock'].map((name) => ({
    tries: `the device ${name}`,
    words: ['read', `/dev/${name}`],
    refused: hidden,
    weak: { ...open, filesystem: [{ bind: `/dev/${name}`, from: '/dev/zero', devices: true }] },
  })),
  {
    tries: 'the events of all files (fanotify)',
    words: ['fanotify'],
    refused: ['EPERM'],
    weak: open,
  },
  {
    tries: 'the list of mounts (listmount)',
    words: ['list-mounts'],
    refused: ['ENOSYS'],
    lacking: 'ENOSYS',
    weak: open,
  },
  {
    tries: 'descriptors that were not handed on',
    words: ['inherited'],
    refused: ['EBADF'],
    weak: 'outside',
  },
])

await attacks('writing files', [
  {
    tries: 'a file of a bind that is read-only',
    words: ['write', '/shown/secret'],
    refused: ['EROFS', 'EACCES'],
    shows: ({ directory }) => [{ bind: '/shown', from: directory }],
    weak: ({ directory }) => ({
      identity: { uid: 0, gid: 0 },
      filesystem: [{ bind: '/shown', from: directory, writable: true }],
    }),
  },
  {
    tries: 'a new file in the root',
    words: ['create', '/new'],
    refused: ['EROFS', 'EACCES'],
    weak: { ...writable, identity: { uid: 0, gid: 0 } },
  },
  {
    tries: "the host's programs",
    // One that no other test executes: then it would be ETXTBSY.
    words: ['write', '/usr/bin/tsort'],
    refused: ['EROFS', 'EACCES'],
    weak: ({ directory }) => ({
      identity: { uid: 0, gid: 0 },
      filesystem: [{ bind: '/usr/bin/tsort', from: join(directory, 'secret'), writable: true }],
    }),
  },
  ...['chmod', 'utimes', 'user-xattr', 'set-flags', 'set-attributes'].map((word) => ({
    tries: `to change a file of a bind that is read-only: ${word}`,
    words: [word, '/shown/secret'],
    refused: ['EROFS'],
    shows: ({ directory }: Scene) => [{ bind: '/shown', from: directory }],
    weak: ({ directory }: Scene): Partial<Policy> => ({
      identity: { uid: 0, gid: 0 },
      filesystem: [{ bind: '/shown', from: directory, writable: true }],
    }),
  })),
  {
    tries: 'another name, in a place to write, for what is shown read-only',
    words: ['link', '/shown/secret', '/shown/shared/stolen'],
    refused: ['EXDEV'],
    shows: ({ directory }) => [
      { bind: '/shown', from: directory },
      { bind: '/shown/shared', from: join(directory, 'shared'), writable: true },
    ],
    weak: ({ directory }) => ({
      identity: { uid: 0, gid: 0 },
      filesystem: [{ bind: '/shown', from: directory, writable: true }],
    }),
  },
  {
    tries: 'to thaw a filesystem of the host',
    words: ['thaw', '/usr'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
    weakIn: ['root mode'],
  },
  {
    tries: 'a file capability for a program of its own',
    words: ['give-capability'],
    refused: ['EPERM'],
    weak: holding('CAP_SETFCAP'),
  },
  {
    tries: 'to make a bind writable again by a remount',
    words: ['remount', '/usr'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'to make a bind writable again by mount_setattr',
    words: ['mount-setattr', '/usr'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'a file that is shown read-only, through its memory (/proc/self/mem)',
    words: ['write-mapped', '/shown/secret'],
    refused: ['EIO'],
    shows: ({ directory }) => [{ bind: '/shown', from: directory }],
    weak: ({ directory }) => ({
      identity: { uid: 0, gid: 0 },
      filesystem: [{ bind: '/shown', from: directory, writable: true }],
    }),
  },
  {
    tries: 'a writable copy of a bind by open_tree_attr',
    words: ['open-tree-attr', '/usr'],
    refused: ['ENOSYS'],
    lacking: 'ENOSYS',
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'the settings of a filesystem by fspick',
    words: ['fspick', '/tmp'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'to put a mount elsewhere by move_mount',
    words: ['move-mount', '/tmp'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'mounts that spread',
    words: ['propagation', '/tmp'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'layers of its own (overlay)',
    words: ['overlay'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE'),
  },
  {
    tries: 'to see beneath a mount by taking it away',
    words: ['unmount', '/tmp'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'to cover a place by a bind',
    words: ['bind', '/usr'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'a filesystem of its own',
    words: ['tmpfs'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'a filesystem by the new mount API',
    words: ['fsopen'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'a detached copy of a mount',
    words: ['open-tree'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: 'another root by pivot_root',
    words: ['pivot'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: "a handler of its own for the host's programs (binfmt_misc)",
    words: ['mount-type', 'binfmt_misc'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  {
    tries: "a hierarchy of the host's cgroups, for its release_agent",
    // A new one, of no controller, which goes with its mount: where v2 has the controllers, v1 has none to give.
    words: ['mount-type', 'cgroup', 'none,name=vial-attack'],
    refused: ['EPERM'],
    weak: { ...holding('CAP_SYS_ADMIN'), namespaces: { cgroup: 'host' } },
    weakIn: ['root mode'],
  },
  {
    tries: 'a device node',
    words: ['mknod'],
    refused: ['EPERM'],
    weak: holding('CAP_MKNOD'),
    weakIn: ['root mode'],
  },
  {
    tries: 'a device node that lies in a bound directory',
    words: ['open', '/shown/null'],
    byRoot: true,
    refused: ['EACCES'],
    shows: ({ directory }) => [{ bind: '/shown', from: directory }],
    weak: ({ directory }) => ({ ...open, filesystem: [{ bind: '/shown', from: directory, devices: true }] }),
  },
  {
    tries: 'to give a file to root',
    words: ['chown'],
    refused: ['EPERM', 'EINVAL'],
    weak: holding('CAP_CHOWN'),
  },
  {
    tries: 'attributes that only the kernel trusts',
    words: ['trusted-xattr'],
    refused: ['EPERM'],
    weak: holding('CAP_SYS_ADMIN'),
    weakIn: ['root mode'],
  },
])

await attacks("the kernel's own files", [
  ...['kernel/core_pattern', 'kernel/hostname', 'vm/drop_caches'].map((name) => ({
    tries: `to write /proc/sys/${name}`,
    words: ['write', `/proc/sys/${name}`],
    refused: ['EACCES', 'EROFS'],
    weak: hostProc,
    weakIn: ['root', 'root mode'] as const,
  })),
  // Some kernels lack these.
  ...['sysrq-trigger', 'sys/kernel/modprobe', 'sys/fs/binfmt_misc/register'].map((name) => ({
    tries: `to write /proc/${name}`,
    words: ['write', `/proc/${name}`],
    refused: ['EACCES', 'EROFS', 'EPERM', 'ENOENT'],
    lacking: 'ENOENT',
    weak: hostProc,
    weakIn: ['root mode'] as const,
  })),
  {
    tries: 'to read /proc/kcore',
    words: ['read', '/proc/kcore'],
    refused: ['EACCES', 'EPERM', 'ENODATA'],
    lacking: 'ENOENT',
    weak: { ...hostProc, capabilities: ['CAP_SYS_RAWIO'] },
    weakIn: ['root mode'],
    needs: ['CAP_SYS_RAWIO'],
  },
  {
    tries: 'to read /proc/kmsg',
    // What is read there is gone for the host.
    words: ['open-of-proc', '/proc/kmsg'],
    refused: ['EACCES', 'EPERM', 'ENODATA'],
    weak: { ...hostProc, capabilities: ['CAP_SYSLOG'] },
    weakIn: ['root mode'],
    needs: ['CAP_SYSLOG'],
  },
  // The first calls a program on each event; a kernel may lack it.
  ...['uevent_helper', 'profiling', 'rcu_normal'].map((name) => ({
    tries: `to write /sys/kernel/${name}`,
    words: ['write', `/sys/kernel/${name}`],
    refused: ['ENOENT'],
    lacking: 'ENOENT',
    weak: { ...open, identity: { uid: 0, gid: 0 }, filesystem: [{ bind: '/sys', from: '/sys', writable: true }] },
    weakIn: name === 'uevent_helper' ? (['root mode'] as const) : (['root', 'root mode'] as const),
  })),
  {
    tries: 'the number of the next process',
    words: ['write-text', '/proc/sys/kernel/ns_last_pid', '7'],
    refused: ['EPERM', 'EROFS'],
    weak: holding('CAP_SYS_ADMIN'),
  },
  ...['autogroup', 'coredump_filter', 'oom_score_adj', 'clear_refs', 'sched', 'comm'].map((name) => ({
    tries: `to change pid 1 by its ${name}`,
    words: ['write', `/proc/1/${name}`],
    refused: ['EACCES', 'EROFS'],
    weak: { ...open, init: 'payload' } as const,
  })),
])

/** As root of a user namespace of its own, which the filter refuses, and behind it Landlock whatever mounts. */
await attacks('privileges over namespaces of its own', [
  ...[
    ['tmpfs'],
    ['fsopen'],
    ['open-tree'],
    ['overlay'],
    ['fspick', '/'],
    ['mount-type', 'ramfs'],
    ['packet'],
    ['raw'],
    ['set-device'],
    ['family', '16', '3', '12'],
    ['chown'],
    ['securebits'],
  ].map((words) => ({
    tries: `in a user namespace: ${words.join(' ')}`,
    words: ['in-user', ...words],
    refused: ['EPERM'],
    weak: open,
  })),
])
