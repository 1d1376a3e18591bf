/** Policies and command lines of bwrap(1) whose plans are kept as text in `golden/`. They name nothing that a host must have. */
import type { PlanOptions } from '../../src/plan/planPolicy.js'
import type { StrictPolicy } from '../../src/policy/schema.js'

export interface PolicyCase {
  readonly policy: StrictPolicy
  readonly options?: Omit<PlanOptions, 'base'>
  /** Whether its system calls are kept too, and each is made to fail. */
  readonly calls?: true
  /** It enters a sandbox of this policy that runs. */
  readonly enters?: true
}

/** As the library compiles for a run. */
const asGate: PolicyCase['options'] = {
  descriptors: { status: 1, control: 1 },
  outputIsWatched: true,
  serves: true,
}

const asRun: PolicyCase['options'] = {
  descriptors: { status: 1 },
  outputIsWatched: true,
  pipes: [
    { fd: 1, payload: 'writes' },
    { fd: 2, payload: 'writes' },
  ],
}

const range = { inside: 1, outside: 100_000, count: 1000 }

/** As of subuid(5) and subgid(5). */
const ranges = [
  { start: 100_000, count: 65_536 },
  { start: 300_000, count: 10_000 },
]
const subids = { uids: ranges, gids: ranges }

export const policies: Readonly<Record<string, PolicyCase>> = {
  empty: { policy: {}, calls: true },
  'empty, library': { policy: {}, options: asRun, calls: true },
  'a private network': { policy: { network: 'private' }, options: asRun },
  'a private network, in root mode, with a sysfs': {
    policy: { network: 'private', namespaces: { user: 'host' }, filesystem: [{ sysfs: '/sys' }] },
  },
  'bind, read-only': { policy: { filesystem: [{ bind: '/usr' }] }, calls: true },
  'bind, writable': { policy: { filesystem: [{ bind: '/project', from: '/srv/project', writable: true }] } },
  'bind, every key': {
    policy: {
      filesystem: [
        {
          bind: '/all',
          from: '/srv/all',
          writable: true,
          recursive: false,
          optional: true,
          devices: true,
          noexec: true,
          suid: true,
        },
      ],
    },
  },
  'bind, by a descriptor': { policy: { filesystem: [{ bind: '/given', fd: 7 }] } },
  'bind, beneath': { policy: { filesystem: [{ bind: '/in', from: '/srv/shared/in', beneath: '/srv/shared' }] } },
  'binds below a writable bind': {
    policy: {
      filesystem: [
        { bind: '/project', writable: true },
        { bind: '/project/.git', from: '/project/.git' },
        { tmpfs: '/project/tmp' },
        { file: '/project/note.txt', content: 'hello\n' },
      ],
    },
    calls: true,
  },
  'bind of the root': { policy: { filesystem: [{ bind: '/', from: '/srv/root' }, { tmpfs: '/tmp' }] }, calls: true },
  'tmpfs, every key': {
    policy: {
      filesystem: [{ tmpfs: '/t', size: '64M', inodes: 100, mode: '1777', owner: { uid: 1, gid: 2 }, noexec: true }],
    },
  },
  directories: {
    policy: { filesystem: [{ directory: '/a' }, { directory: '/a/b/c', mode: '0700', owner: { uid: 3 } }] },
  },
  files: {
    policy: {
      filesystem: [
        { file: '/etc/hosts.txt', content: '127.0.0.1 localhost\n' },
        { file: '/secret.txt', content: 's', mode: '0400', owner: { uid: 0, gid: 0 } },
        { file: '/etc/read.txt', fd: 5 },
      ],
    },
    calls: true,
  },
  'files that are mounted': {
    policy: {
      filesystem: [
        { bind: '/etc' },
        { file: '/etc/passwd.txt', content: 'x\n', mount: 'readonly' },
        { file: '/etc/group.txt', content: 'y\n', mount: 'writable' },
      ],
    },
  },
  symlinks: { policy: { filesystem: [{ bind: '/usr' }, { symlink: '/bin', to: 'usr/bin' }] } },
  'proc and dev': { policy: { filesystem: [{ proc: '/proc' }, { dev: '/dev' }] } },
  'proc, every key': {
    policy: { filesystem: [{ proc: '/proc', subset: 'pid', hidepid: 'invisible', masked: false }] },
  },
  'sysfs and mqueue': { policy: { filesystem: [{ sysfs: '/sys' }, { mqueue: '/dev/mqueue' }] } },
  'overlay in memory': { policy: { filesystem: [{ overlay: '/', lower: ['/srv/base'], upper: 'tmpfs' }] } },
  'overlay on directories': {
    policy: {
      filesystem: [{ overlay: '/o', lower: ['/srv/a', '/srv/b'], upper: { upper: '/srv/upper', work: '/srv/work' } }],
    },
  },
  'readonly and chmod': {
    policy: {
      filesystem: [{ tmpfs: '/t' }, { directory: '/t/d' }, { chmod: '/t/d', mode: '0711' }, { readonly: '/t' }],
    },
  },
  'root, writable': { policy: { root: { writable: true, size: '1M' } } },
  "the host's network": { policy: { network: 'host' } },
  "the host's namespaces": {
    policy: {
      namespaces: { pid: 'host', ipc: 'host', uts: 'host', cgroup: 'host', net: 'host' },
      filesystem: [{ proc: '/proc' }],
    },
    calls: true,
  },
  'no user namespace': { policy: { namespaces: { user: 'host' }, identity: { uid: 5, gid: 6 } }, calls: true },
  'a time namespace': { policy: { namespaces: { time: { boottime: 60, monotonic: -1 } } } },
  'a network by name': {
    policy: { network: { allow: ['api.example.com:443', 'udp:10.0.0.5:123', '*:80'] }, env: { inherit: true } },
    options: { ...asRun, descriptors: { status: 1, network: 1 } },
    calls: true,
  },
  'unix sockets of the host': {
    policy: {
      filesystem: [{ tmpfs: '/tmp' }, { symlink: '/var/run', to: '/run' }],
      network: { allow: ['unix:/run/host/db:/tmp/db', 'unix:/var/run/a/b'] },
    },
    options: { ...asRun, descriptors: { status: 1, network: 1 } },
    calls: true,
  },
  'a network by name, made by init': {
    policy: { network: { allow: ['[2001:db8::1]:443'] }, filesystem: [{ sysfs: '/sys' }] },
    options: { ...asRun, descriptors: { status: 1, network: 1 } },
    calls: true,
  },
  'joined namespaces': { policy: { namespaces: { user: { pid: 42 }, net: { path: '/run/netns/web' } } } },
  'names of the host': { policy: { hostname: 'box', domainname: 'example' } },
  'root inside': { policy: { identity: { uid: 0, gid: 0 } } },
  'a range of ids': { policy: { identity: { uid: 0, gid: 0, ranges: { uids: [range], gids: [range] } } } },
  'subordinate ids for root inside': {
    policy: { identity: { uid: 0, gid: 0, ranges: 'subids' } },
    options: { subids },
  },
  'subordinate ids around an id': {
    policy: { identity: { uid: 5, gid: 70000, ranges: 'subids' } },
    options: { subids },
  },
  capabilities: { policy: { capabilities: ['CAP_NET_BIND_SERVICE', 'CAP_CHOWN'] } },
  'a payload that may mount': {
    policy: { seccomp: 'nested', capabilities: ['CAP_SYS_ADMIN'], filesystem: [{ proc: '/proc' }] },
  },
  'no more user namespaces': { policy: { disableUserns: true } },
  'no filter': { policy: { seccomp: 'none' } },
  'a filter of its own': {
    policy: {
      seccomp: {
        default: { errno: 'EPERM' },
        rules: [{ calls: ['read', 'write', 'execve', 'exit_group'], do: 'allow' }],
      },
    },
  },
  'landlock, required': { policy: { landlock: 'required', filesystem: [{ bind: '/usr' }, { tmpfs: '/tmp' }] } },
  'landlock, off': { policy: { landlock: 'off' } },
  'process settings': {
    policy: { umask: '0077', cwd: '/tmp', filesystem: [{ tmpfs: '/tmp' }], rlimits: { nofile: 64, core: 0, as: '1G' } },
  },
  environment: { policy: { env: { set: { A: '1', B: 'two words' }, inherit: ['LC_*', 'TERM'] } }, calls: true },
  'a shared session': { policy: { session: 'host' }, calls: true },
  'init becomes the payload': { policy: { init: 'payload' }, calls: true },
  'limits of the vial itself': {
    policy: {
      limits: { wallTime: '2s', fileSize: '1M', openFiles: 32, stack: '8M', core: 0, disk: '5M' },
      filesystem: [{ tmpfs: '/tmp' }],
    },
    options: asRun,
    calls: true,
  },
  'limits in a group of version 2': {
    policy: { limits: { memory: '64M', cpuTime: '2s', pids: 9, output: '1M' } },
    options: {
      ...asRun,
      group: {
        way: 'clone',
        bases: ['/sys/fs/cgroup/own'],
        holds: ['memory', 'cpuTime', 'pids'],
        descriptors: { cpuTime: 1, memory: 0, enter: 1 },
        cpuTime: { unit: 1000, cpus: 2 },
      },
    },
  },
  'limits in groups of version 1': {
    policy: { limits: { memory: '64M', cpuTime: '2s', pids: 9 } },
    options: {
      ...asRun,
      group: {
        way: 'move',
        bases: ['/sys/fs/cgroup/memory/own', '/sys/fs/cgroup/pids/own'],
        holds: ['memory', 'cpuTime', 'pids'],
        descriptors: { cpuTime: 1, memory: 1, enter: 2 },
        cpuTime: { unit: 1, cpus: 2 },
      },
    },
  },
  'others enter it': { policy: { filesystem: [{ bind: '/usr' }] }, options: { living: { holds: false } }, calls: true },
  'others enter it, library': {
    policy: { filesystem: [{ bind: '/usr' }] },
    options: { ...asRun, living: { holds: false } },
    calls: true,
  },
  'what the command writes is kept': {
    policy: { limits: { memory: '64M' } },
    options: {
      descriptors: { status: 1, log: 1 },
      group: {
        way: 'move',
        bases: ['/sys/fs/cgroup/memory/own'],
        holds: ['memory'],
        descriptors: { cpuTime: 0, memory: 1, enter: 1 },
        cpuTime: undefined,
      },
      living: { holds: false },
    },
    calls: true,
  },
  'held open for others': {
    policy: { limits: { wallTime: '1s' } },
    options: { ...asRun, living: { holds: true } },
    calls: true,
  },
  'enters a sandbox': { policy: { filesystem: [{ bind: '/usr' }] }, enters: true, calls: true },
  'enters a sandbox, library': { policy: { limits: { wallTime: '1s' } }, options: asRun, enters: true, calls: true },
  'a terminal of its own': {
    policy: { filesystem: [{ dev: '/dev' }] },
    options: { ...asRun, pipes: [], terminal: true },
    calls: true,
  },
  'enters a sandbox, in a terminal': {
    policy: { filesystem: [{ dev: '/dev' }] },
    options: {
      ...asRun,
      pipes: [
        { fd: 0, payload: 'reads' },
        { fd: 1, payload: 'writes' },
      ],
      terminal: true,
    },
    enters: true,
    calls: true,
  },
  'enters a sandbox in groups of version 1': {
    policy: { namespaces: { net: 'host', time: 'host' }, limits: { memory: '64M' } },
    options: {
      ...asRun,
      group: {
        way: 'move',
        bases: ['/sys/fs/cgroup/memory/own', '/sys/fs/cgroup/freezer/own'],
        holds: ['memory'],
        descriptors: { cpuTime: 0, memory: 1, enter: 2 },
        cpuTime: undefined,
      },
    },
    enters: true,
    calls: true,
  },
  'enters a sandbox, as another user': {
    policy: { namespaces: { user: 'host' }, identity: { uid: 1234, gid: 1235 } },
    enters: true,
    calls: true,
  },
  'a gate': { policy: { filesystem: [{ bind: '/usr' }] }, options: asGate, enters: true, calls: true },
  'a gate in groups of version 2': {
    policy: { namespaces: { net: 'host', time: 'host' }, limits: { memory: '64M' } },
    options: {
      ...asGate,
      group: {
        way: 'clone',
        bases: ['/sys/fs/cgroup/own'],
        holds: ['memory'],
        descriptors: { cpuTime: 0, memory: 0, enter: 1 },
        cpuTime: undefined,
      },
    },
    enters: true,
    calls: true,
  },
  'a gate, as another user': {
    policy: { namespaces: { user: 'host' }, identity: { uid: 1234, gid: 1235 } },
    options: asGate,
    enters: true,
    calls: true,
  },
  "another user among the host's processes": {
    policy: { namespaces: { user: 'host', pid: 'host' }, identity: { uid: 1234, gid: 1235 } },
    calls: true,
  },
  'descriptors that the payload keeps, and one that the policy reads': {
    policy: { filesystem: [{ file: '/etc/key', fd: 9 }] },
    options: { passFds: [7] },
  },
}

export interface LineCase {
  readonly line: string
  readonly uid?: number
  readonly calls?: true
}

/** Options of bwrap(1), split at blanks. */
export const lines: Readonly<Record<string, LineCase>> = {
  'the host, read-only': { line: '--ro-bind / /', calls: true },
  'everything unshared': { line: '--ro-bind / / --unshare-all', calls: true },
  'everything unshared, but the network': { line: '--unshare-all --share-net --bind / /' },
  'a tree of its own': {
    line: '--ro-bind /usr /usr --symlink usr/bin /bin --proc /proc --dev /dev --tmpfs /tmp --unshare-pid --die-with-parent',
  },
  'by root': { line: '--ro-bind / / --unshare-all', uid: 0, calls: true },
  'try what may be missing': {
    line: '--unshare-user-try --unshare-cgroup-try --ro-bind-try /nowhere /n --bind-try /b /b',
  },
  'devices and shm': { line: '--dev-bind /dev /dev --tmpfs /dev/shm --mqueue /dev/mqueue' },
  'a file from a descriptor': { line: '--tmpfs / --file 11 /etc/f --bind-data 12 /etc/b --ro-bind-data 13 /etc/r' },
  'permissions and sizes': { line: '--perms 0700 --size 1048576 --tmpfs /t --perms 0750 --dir /t/d --chmod 0711 /t/d' },
  overlays: {
    line: '--overlay-src /a --overlay-src /b --tmp-overlay /o --overlay-src /a --overlay-src /c --ro-overlay /r',
  },
  'a writable overlay': { line: '--overlay-src /a --overlay /rw /marks /o' },
  'remounted read-only': { line: '--bind / / --remount-ro /' },
  'ids and names': { line: '--ro-bind / / --uid 5 --gid 6 --unshare-user --unshare-uts --hostname box' },
  'descriptors of namespaces': { line: '--userns 9 --pidns 10 --ro-bind / /' },
  'no more user namespaces': { line: '--ro-bind / / --unshare-user --disable-userns --assert-userns-disabled' },
  'a new session': { line: '--ro-bind / / --new-session --unshare-pid' },
  'as pid 1': { line: '--ro-bind / / --unshare-pid --as-pid-1', calls: true },
  'what is told': { line: '--ro-bind / / --unshare-pid --info-fd 8 --json-status-fd 9', calls: true },
  'another process writes the maps': { line: '--ro-bind / / --unshare-user --info-fd 8 --userns-block-fd 10' },
  'waits and holds': { line: '--ro-bind / / --block-fd 8 --sync-fd 9 --lock-file /lock --unshare-pid' },
  'a filter by descriptor': { line: '--ro-bind / / --seccomp 8' },
  'two filters by descriptors': { line: '--ro-bind / / --add-seccomp-fd 8 --add-seccomp-fd 9 --unshare-pid' },
  'capabilities of a user': { line: '--ro-bind / / --unshare-user --cap-add CAP_NET_ADMIN --cap-add CAP_CHOWN' },
  'capabilities of root': { line: '--ro-bind / / --cap-drop ALL --cap-add CAP_SETUID', uid: 0 },
  'the environment': { line: '--ro-bind / / --clearenv --setenv A 1 --unsetenv B --setenv PATH /bin' },
  'a working directory': { line: '--ro-bind / / --chdir /tmp --argv0 shown' },
  'read-only places': { line: '--tmpfs / --dir /a --remount-ro /a --bind /b /a/b' },
  'binds by descriptors': { line: '--tmpfs / --bind-fd 8 /w --ro-bind-fd 9 /r' },
  'a level prefix': { line: '--level-prefix --ro-bind / /' },
  'the network alone': { line: '--ro-bind / / --unshare-net', calls: true },
}
