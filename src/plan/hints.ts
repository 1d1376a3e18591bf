/** What to do about the errors that people meet most. The keys are errno names. */
import { limitOf } from '../kernel/namespaces.js'
import { key, setting } from '../policy/keys.js'
import { aside, words } from '../text/words.js'
import type { Step } from './step.js'

type Hints = NonNullable<Step['hints']>

const leadsOut =
  'a link on the way leads out of a directory that the sandbox may write; a payload could have put it there'
const outer =
  'an outer container forbids mounts, or covers parts of its /proc: where it is a vial, it needs the seccomp profile nested'
const loop = 'a symbolic link on the way leads in a circle'
const doesWithout = words`${setting('landlock', 'on')} does without`

/** dup2(2): EBADF is also a number beyond the limit. */
export const fewFiles = 'a process may have too few files open: raise the limit to 128, "ulimit -n 128"'

export const installPasta = 'install the package passt'

export const hints = {
  userNamespace: {
    EPERM:
      'a setting, a chroot, a container around this process, or for root the lack of CAP_SETFCAP forbids it: "vial doctor" says which',
    ENOSPC: `the limit ${limitOf('user')} is used up`,
    EINVAL: 'this kernel has no user namespaces (CONFIG_USER_NS)',
    ENOENT: '/proc is not mounted here',
  },
  helper: {
    ENOENT: 'ranges of ids need newuidmap and newgidmap: install the package uidmap (or shadow-utils)',
    EPERM: 'newuidmap or newgidmap refused: the caller needs these ranges in /etc/subuid and /etc/subgid',
  },
  rootMode: {
    EPERM: words`root mode (${setting('namespaces.user', 'host')}) needs a caller who is root and has CAP_SYS_ADMIN; leave it out for a rootless sandbox`,
  },
  identity: {
    EINVAL: words`${key('identity.uid')} or ${key('identity.gid')} has no meaning in the sandbox's user namespace: ${aside('map it, or ')}name another`,
  },
  namespaces: {
    EPERM: 'forbidden here ("vial doctor" tells which), or needs a caller who is root',
    ENOSPC: 'a limit user.max_*_namespaces is used up',
  },
  mounts: { EPERM: outer },
  sandbox: {
    ENOENT: 'it has ended',
    ESRCH: 'it has ended',
    EACCES: 'it belongs to another user',
    EPERM: 'it belongs to another user',
    EBADF: fewFiles,
    EMFILE: fewFiles,
  },
  /** Of a process that is made in a sandbox. pid_namespaces(7): fork(2) fails with ENOMEM when its pid 1 has ended. */
  serve: {
    EAGAIN: 'the sandbox may have no more processes: see its limits, or those of its user',
    ENOMEM: 'the sandbox has ended, or no memory is left',
    EMFILE: fewFiles,
  },
  source: {
    EXDEV: leadsOut,
    ENOENT: words`the source does not exist${aside('; optional: true leaves it out')}`,
    EACCES: 'the caller may not search a directory on the way',
    EINVAL: words`something is mounted beneath it that may not be left out${aside(': use recursive: true')}`,
    ENOTDIR: 'a name on the way is not a directory',
    ELOOP: loop,
  },
  place: {
    EROFS: 'the place does not exist, and what it lies in is read-only: make it there first, or bind to another place',
    ENOTDIR: 'a file cannot cover a directory, nor lie below a file',
    EACCES: 'the place does not exist, and cannot be made there',
    EEXIST: 'something else is at this place already',
    EISDIR: 'a directory is at this place already',
    EINVAL: words`${aside('owner is not an id of the sandbox, which has identity.uid, identity.gid and identity.ranges')}`,
    ENOSPC: 'the filesystem that it lies in is full: see its size and inodes',
    ELOOP: loop,
  },
  present: {
    ENOENT: 'nothing is at this place: list the entry after what makes it',
    EROFS: 'it lies on what is read-only: list the entry before that, or make it writable',
    EPERM: 'it belongs to another user than the payload: change it outside',
    EINVAL: words`it is not a mount${aside(': leave mount out')}`,
    ELOOP: loop,
  },
  /** At a place in a mount that others may have written. */
  foreign: {
    ELOOP:
      'a symbolic link lies at the place or on the way to it, where an earlier run could have put it: name the place that it leads to',
    EMLINK: 'the file has another name (a hard link), perhaps where no payload may write: remove it first',
    ESTALE: 'another process exchanged what is at this place just now: start it again',
  },
  pasta: {
    ENOENT: `pasta is not there any more: ${installPasta}`,
    EACCES: 'this user may not execute pasta',
    ECONNRESET: 'the process that started it was killed',
    EPERM: outer,
  },
  /** Behind it comes pasta's last line. */
  pastaSays: {
    ENETDOWN:
      'connect a network of its own by pasta, which needs /dev/net/tun, a default route, and leave of AppArmor or SELinux (see dmesg): ',
  },
  proc: { EPERM: outer },
  overlay: {
    EXDEV: leadsOut,
    ENOENT: 'a layer does not exist',
    ENOTDIR: 'a layer is not a directory',
    EACCES: 'the caller may not search a directory on the way to a layer, or not write to upper and work',
    EPERM: 'overlay in a user namespace needs kernel 5.11 or newer',
    EINVAL: 'a layer may itself be an overlay, or upper and work lie on different filesystems',
    ENODEV: 'the overlay module is not loaded: modprobe overlay',
  },
  seccomp: {
    EINVAL: 'this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or does not know a flag of the profile',
    EPERM: 'an outer sandbox forbids it; its profile "nested" allows it',
  },
  landlock: {
    ENOSYS: words`this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK): ${doesWithout}`,
    EOPNOTSUPP: words`Landlock is not among the modules that this kernel was booted with (lsm=…): ${doesWithout}`,
    EINVAL: words`the Landlock of this kernel is older than Linux 5.19: ${doesWithout}`,
    E2BIG: 'there are 16 Landlock restrictions already, more cannot be stacked',
  },
  rlimit: { EPERM: "a hard limit cannot be raised: the caller's own is lower" },
  group: {
    EACCES: 'the cgroup, and the directory above it, must belong to the caller: "vial doctor" tells how',
    EBUSY: 'a cgroup that hands controllers on may have no process of its own',
    ENOENT: 'the cgroup was removed meanwhile',
  },
  timer: { EAGAIN: 'this user has too many signals pending: see ulimit -i' },
  execute: {
    ENOENT: 'it is not visible inside the sandbox, or its interpreter is not',
    EACCES: 'it is not executable, or lies on a noexec mount',
    ENOEXEC: 'it is not a program for this machine, and has no #! line',
  },
  bind: {
    EXDEV: leadsOut,
    ENOENT: words`the source does not exist${aside('; optional: true leaves it out')}`,
    EINVAL: words`a file cannot cover a directory, nor a directory a file; or something is mounted beneath it that may not be left out${aside(': use recursive: true')}`,
    EROFS: 'the place does not exist, and what it lies in is read-only: make it there first, or bind to another place',
    ENOTDIR: 'a file lies on the way of either path, or would cover a directory',
    EACCES: 'the caller may not search a directory on the way, or may not make the place',
    EBADF: 'the descriptor is not open',
    ELOOP: loop,
  },
  cwd: {
    ENOENT: words`${key('cwd')} is not visible inside: bind it, or name another`,
    ENOTDIR: words`${key('cwd')} is not a directory`,
    EACCES: words`the payload may not enter ${key('cwd')}`,
    /** Only of one that is named for a run. */
    EXDEV: words`${key('cwd')} leads out of the sandbox`,
  },
  terminal: {
    ENOENT: words`there is no /dev/pts inside: ${key('filesystem')} has no /dev`,
    ENODEV: 'what is at /dev/pts inside are no pseudoterminals',
    ENOSPC: 'this host has too many pseudoterminals: see sysctl kernel.pty.max',
  },
} satisfies Record<string, Hints>
