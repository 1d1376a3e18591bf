/** Other tools of this kind, where they are installed: the same mounts and namespaces as far as each can have them. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { policy, vial } from './policy.js'
import { alone, runs, work } from './support/directory.js'
import { type Command, installed, race } from './support/race.js'
import { note, type Runner, raceTable } from './support/table.js'

export async function bench(): Promise<void> {
  const ours: Command = [vial(policy, 'vial'), 'true']
  const rounds = Math.max(10, Math.ceil(runs / 10))
  const runners: Runner[] = []
  const missing: string[] = []
  for (const [name, command] of Object.entries(tools())) {
    if (installed(name) === undefined) {
      missing.push(name)
      continue
    }
    const { status, stderr } = spawnSync(command[0]!, command.slice(1), { encoding: 'utf8', cwd: work })
    if (status !== 0) {
      note(`${name} does not run here: ${stderr.trim().split('\n').at(-1)}`)
      continue
    }
    const [mine, theirs] = race(rounds, [ours, command])
    runners.push({ name: `vial, beside ${name}`, times: mine!, against: { name, times: theirs! } })
    runners.push({ name, times: theirs! })
  }
  raceTable(`One run in other runtimes, ${rounds} in turn with each`, runners)
  if (missing.length > 0) note(`not installed: ${missing.join(', ')}`)
}

function tools(): Record<string, Command> {
  const bundle = makeBundle()
  const state = join(work, 'state')
  return {
    nsjail: [
      ...['nsjail', '-Mo', '-Q', '--disable_rlimits', '-R', '/usr', '-R', '/etc/ld.so.cache', '-T', '/tmp'],
      ...['-s', 'usr/bin:/bin', '-s', 'usr/lib:/lib', '-s', 'usr/lib64:/lib64', '--', '/usr/bin/true'],
    ],
    crun: ['crun', '--root', state, '--cgroup-manager=disabled', 'run', '--bundle', bundle, 'bench'],
    runc: ['runc', '--root', state, 'run', '--bundle', bundle, 'bench'],
  }
}

/** An OCI bundle: https://github.com/opencontainers/runtime-spec/blob/main/config.md */
export function makeBundle(name = 'bundle', limits: object = {}, args = ['/usr/bin/true']): string {
  const bundle = join(work, name)
  mkdirSync(join(bundle, 'rootfs'), { recursive: true })
  const [uid, gid] = [process.getuid!(), process.getgid!()]
  const mount = (destination: string, type: string, source: string, options: string[]) => ({
    destination,
    type,
    source,
    options,
  })
  const directories = ['bin', 'lib', 'lib64'].map((name) =>
    mount(`/${name}`, 'bind', `/usr/${name}`, ['rbind', 'ro', 'nosuid', 'nodev']),
  )
  const config = {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/usr/bin'],
      cwd: '/',
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'vial',
    mounts: [
      mount('/proc', 'proc', 'proc', ['nosuid', 'nodev', 'noexec']),
      mount('/dev', 'tmpfs', 'tmpfs', ['nosuid', 'mode=755', 'size=65536k']),
      mount('/dev/pts', 'devpts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620']),
      mount('/usr', 'bind', '/usr', ['rbind', 'ro', 'nosuid', 'nodev']),
      ...directories,
      mount('/tmp', 'tmpfs', 'tmpfs', ['nosuid', 'nodev']),
    ],
    linux: {
      namespaces: ['user', 'pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
      uidMappings: [{ containerID: 0, hostID: uid, size: 1 }],
      gidMappings: [{ containerID: 0, hostID: gid, size: 1 }],
      ...limits,
    },
  }
  writeFileSync(join(bundle, 'config.json'), JSON.stringify(config))
  return bundle
}

await alone(import.meta.url, bench)
