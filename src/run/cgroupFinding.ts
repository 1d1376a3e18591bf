/** Which control groups this caller could put a sandbox into: cgroups(7). */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { callerName } from './caller.js'
import type { Finding } from './findings.js'

const name = 'control groups'
const without = 'limits of a whole sandbox: memory, number of processes, CPU'
const wanted = ['memory', 'pids', 'cpu', 'freezer']

export function cgroupFinding(): Finding {
  const mounts = read('/proc/self/mountinfo').split('\n').flatMap(mountOf)
  // Lines of cgroups(7): hierarchy:controllers:group; version 2 has neither number nor controllers.
  const groups = read('/proc/self/cgroup')
    .split('\n')
    .filter(Boolean)
    .map((line) => /^\d+:([^:]*):(.*)$/.exec(line)!)
  const groupOf = (controller: string) => groups.find(([, names]) => names!.split(',').includes(controller))?.[2]
  const v1 = mounts.filter(({ type }) => type === 'cgroup')
  const v2 = mounts.find(({ type }) => type === 'cgroup2')
  const unified = v2 === undefined ? undefined : here(v2, groupOf('') ?? '/')
  const controllers =
    unified === undefined ? [] : read(join(unified, 'cgroup.controllers')).trim().split(' ').filter(Boolean)
  // Where both are mounted, each controller is in one of them.
  if (unified !== undefined && (v1.length === 0 || wanted.some((one) => controllers.includes(one))))
    return finding2(unified, controllers)
  if (v1.length === 0)
    return {
      name,
      works: false,
      detail: 'none are mounted',
      without,
      repair: 'sudo mount -t cgroup2 none /sys/fs/cgroup',
    }
  const found = wanted.flatMap((controller) => {
    const mount = v1.find(({ options }) => options.includes(controller))
    return mount === undefined ? [] : [{ controller, folder: here(mount, groupOf(controller) ?? '/') }]
  })
  return finding1(found)
}

function finding2(folder: string, controllers: readonly string[]): Finding {
  const delegated =
    writable(folder) && writable(join(folder, 'cgroup.procs')) && writable(join(folder, 'cgroup.subtree_control'))
  const detail = `version 2; our group ${folder} has ${controllers.join(', ') || 'no controllers'}; ${delegated ? 'this user may make groups in it' : 'it is not delegated to this user'}`
  if (delegated && wanted.slice(0, 3).every((one) => controllers.includes(one))) return { name, works: true, detail }
  const repair = existsSync('/run/systemd/system')
    ? `systemd-run --user --scope -p Delegate=yes vial run …  (if it lacks a controller: sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, and log in again)`
    : `sudo sh -c 'mkdir -p /sys/fs/cgroup/vial && echo +cpu +memory +pids > /sys/fs/cgroup/cgroup.subtree_control && chown -R ${callerName()} /sys/fs/cgroup/vial && echo '$$' > /sys/fs/cgroup/vial/cgroup.procs'`
  return { name, works: false, detail, without, repair }
}

function finding1(found: readonly { readonly controller: string; readonly folder: string }[]): Finding {
  const usable = found.filter(({ folder }) => writable(folder)).map(({ controller }) => controller)
  const closed = found.filter(({ controller }) => !usable.includes(controller))
  const detail = [
    'version 1',
    usable.length === 0 ? '' : `this user may make groups for ${usable.join(', ')}`,
    closed.length === 0 ? '' : `not for ${closed.map(({ controller }) => controller).join(', ')}`,
  ]
    .filter(Boolean)
    .join('; ')
  if (closed.length === 0) return { name, works: true, detail }
  const folders = closed.map(({ folder }) => join(folder, 'vial')).join(' ')
  const repair = `sudo sh -c 'mkdir -p ${folders} && chown -R ${callerName()} ${folders} && for group in ${folders}; do echo '$$' > $group/cgroup.procs; done'`
  return { name, works: false, detail, without, repair }
}

interface Mount {
  readonly root: string
  readonly at: string
  readonly type: string
  readonly options: readonly string[]
}

/** A line of proc_pid_mountinfo(5). */
function mountOf(line: string): Mount[] {
  const [left, right] = line.split(' - ')
  if (left === undefined || right === undefined) return []
  const [, , , root = '', at = ''] = left.split(' ')
  const [type = '', , options = ''] = right.split(' ')
  return type === 'cgroup' || type === 'cgroup2' ? [{ root, at, type, options: options.split(',') }] : []
}

/** The folder of a group: a container sees only the part of the tree that was mounted for it. */
function here({ root, at }: Mount, group: string): string {
  const inside = root !== '/' && group.startsWith(root) ? group.slice(root.length) : group
  const folder = join(at, inside)
  return existsSync(folder) ? folder : at
}

function writable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
