/** What a payload sees of its own walls, in a sandbox of ours and of others with the same policy. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OciProfile } from '../../src/seccomp/profileSchema.js'
import { type Caller, root, runAs } from '../support/user.js'

/** Docker's defaults, as `docker run` writes them into config.json: oci/defaults.go and oci/caps/defaults.go of moby. */
export const docker = {
  capabilities: [
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FSETID',
    'CAP_FOWNER',
    'CAP_MKNOD',
    'CAP_NET_RAW',
    'CAP_SETGID',
    'CAP_SETUID',
    'CAP_SETFCAP',
    'CAP_SETPCAP',
    'CAP_NET_BIND_SERVICE',
    'CAP_SYS_CHROOT',
    'CAP_KILL',
    'CAP_AUDIT_WRITE',
  ],
  masked: [
    '/proc/asound',
    '/proc/acpi',
    '/proc/interrupts',
    '/proc/kcore',
    '/proc/keys',
    '/proc/latency_stats',
    '/proc/timer_list',
    '/proc/timer_stats',
    '/proc/sched_debug',
    '/proc/scsi',
    '/sys/firmware',
    '/sys/devices/virtual/powercap',
    '/sys/devices/system/cpu/cpu0/thermal_throttle',
  ],
  readonly: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
    },
  ],
} as const

export interface View {
  /** Of /proc/self/status: `Cap…`, `NoNewPrivs`, `Seccomp`. */
  readonly status: Readonly<Record<string, string>>
  /** Options of what is mounted at a place, the topmost. */
  readonly mounts: Readonly<Record<string, readonly string[]>>
  readonly devices: readonly string[]
  /** Of what Docker masks: what can be read, and is not empty. Of what it shows read-only: what can be opened to write. */
  readonly readable: readonly string[]
  readonly writable: readonly string[]
}

const look = `
import json, os, stat, sys
status = dict(line.rstrip().split(':\\t') for line in open('/proc/self/status') if line.startswith(('Cap', 'NoNewPrivs', 'Seccomp:')))
mounts = {}
for line in open('/proc/self/mountinfo'):
    words = line.split()
    mounts[words[4]] = words[5].split(',')
devices = []
for top, directories, files in os.walk('/dev'):
    for name in files:
        path = os.path.join(top, name)
        mode = os.lstat(path).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode): devices.append(path)
def readable(path):
    try:
        if os.path.isdir(path): return bool(os.listdir(path))
        return bool(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 1))
    except OSError: return False
def writable(path):
    for one in [path] if not os.path.isdir(path) else [os.path.join(top, name) for top, _, names in os.walk(path) for name in names]:
        try: os.close(os.open(one, os.O_WRONLY | os.O_NONBLOCK)); return True
        except OSError: pass
    return False
masked, readonly = json.loads(sys.argv[1])
print(json.dumps({'status': status, 'mounts': mounts, 'devices': sorted(devices),
    'readable': [path for path in masked if readable(path)], 'writable': [path for path in readonly if writable(path)]}))`

const command = ['/usr/bin/python3', '-c', look, JSON.stringify([docker.masked, docker.readonly])] as const

function read(what: string, text: string, complaint: string): View {
  try {
    return JSON.parse(text) as View
  } catch {
    throw new Error(`${what}: ${complaint}${text}`)
  }
}

export function ours(caller: Caller, rootMode: boolean): View {
  const { stdout, stderr, error } = runAs(
    caller,
    {
      preset: 'system',
      ...(rootMode ? { namespaces: { user: 'host' } } : {}),
      filesystem: [{ sysfs: '/sys' }, { mqueue: '/dev/mqueue' }],
    },
    command[0],
    command.slice(1),
  )
  return read('vial', stdout ?? '', error ?? stderr)
}

export const installed = (name: string) => spawnSync(name, ['--version']).status === 0

/** bwrap(1) with what is nearest to the preset `system`. */
export function bwrap(caller: Caller): View {
  const words = ['--unshare-all', '--new-session', '--die-with-parent', '--ro-bind', '/usr', '/usr', '--proc', '/proc']
  const links = ['bin', 'lib', 'lib64', 'sbin'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`])
  const more = ['--dev', '/dev', '--tmpfs', '/tmp', '--ro-bind', '/sys', '/sys', '--mqueue', '/dev/mqueue']
  const { stdout, stderr } = spawnSync('bwrap', [...words, ...links, ...more, ...command], {
    encoding: 'utf8',
    ...(process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}),
  })
  return read('bwrap', stdout, stderr)
}

/** crun(1) with the configuration that Docker gives to a runtime, its profile of system calls included; needs root. */
export function crun(): View {
  const bundle = mkdtempSync(join(tmpdir(), 'vial-crun-'))
  try {
    const rootfs = join(bundle, 'rootfs')
    for (const name of ['usr', 'proc', 'sys', 'dev', 'tmp', 'etc']) mkdirSync(join(rootfs, name), { recursive: true })
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(rootfs, name))
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(configuration()))
    const name = `vial-${process.pid}`
    // It refuses where version 2 has been mounted beside version 1, even if it is to make no group.
    const alone = 'umount /sys/fs/cgroup/unified 2>&- || :; exec crun --cgroup-manager=disabled run --bundle "$@"'
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', alone, 'sh', bundle, name], { encoding: 'utf8' })
    return read('crun', stdout, stderr)
  } finally {
    rmSync(bundle, { recursive: true, force: true })
  }
}

function configuration() {
  const all = [...docker.capabilities]
  const usr = { destination: '/usr', type: 'bind', source: '/usr', options: ['rbind', 'ro'] }
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: root.uid, gid: root.gid },
      args: command,
      env: ['PATH=/usr/bin:/bin'],
      cwd: '/',
      capabilities: { bounding: all, effective: all, permitted: all },
      // Docker sets it only on request: --security-opt no-new-privileges.
      noNewPrivileges: false,
    },
    root: { path: 'rootfs', readonly: false },
    hostname: 'docker',
    mounts: [...docker.mounts, usr],
    linux: {
      namespaces: ['mount', 'network', 'uts', 'pid', 'ipc', 'cgroup'].map((type) => ({ type })),
      maskedPaths: docker.masked,
      readonlyPaths: docker.readonly,
      seccomp: dockerSeccomp(),
    },
  }
}

/** Docker's profile as it hands it on: with its conditions decided, and one architecture. */
function dockerSeccomp() {
  const { defaultAction, defaultErrnoRet, syscalls } = JSON.parse(
    readFileSync('test/seccomp/docker.json', 'utf8'),
  ) as OciProfile
  const kept: readonly string[] = docker.capabilities
  const arch = process.arch === 'x64' ? 'amd64' : 'arm64'
  return {
    defaultAction,
    defaultErrnoRet,
    syscalls: syscalls!
      .filter(({ includes, excludes }) => {
        if (includes?.arches && !includes.arches.includes(arch)) return false
        if (includes?.caps && !includes.caps.every((name) => kept.includes(name))) return false
        return !excludes?.arches?.includes(arch) && !excludes?.caps?.some((name) => kept.includes(name))
      })
      .map(({ names, action, args, errnoRet }) => ({
        names,
        action,
        ...(args?.length ? { args } : {}),
        ...(errnoRet == null ? {} : { errnoRet }),
      })),
  }
}
