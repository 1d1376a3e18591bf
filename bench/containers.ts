/** A command more in a container that runs: what vial, crun and podman take to start the same static program. */
import { spawnSync } from 'node:child_process'
import { closeSync, cpSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sandbox } from '../src/index.js'
import { exitInside, policy, withExit } from './policy.js'
import { makeBundle } from './runtimes.js'
import { alone, runs, work } from './support/directory.js'
import { enterCommand } from './support/enterCommand.js'
import { type Command, exitProgram, installed, race } from './support/race.js'
import { note, type Runner, raceTable } from './support/table.js'

const isRoot = process.getuid!() === 0
/** crun 1.8 and podman 4.3 start nothing where controllers of cgroup v1 are mounted beside v2, whether they are to make a group or not. */
const isHybrid = () => / \/sys\/fs\/cgroup\/\S+ cgroup2 /.test(readFileSync('/proc/self/mounts', 'latin1'))
const onlyVersion2 = 'umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'

interface Container {
  readonly exec: Command
  readonly remove: Command
}

function started(name: string, [command, ...args]: readonly string[]): boolean {
  // A pipe would be held open by the container.
  const path = join(work, `${name}.log`)
  const log = openSync(path, 'w')
  const { status } = spawnSync(command!, args, { stdio: ['ignore', 'ignore', log] })
  closeSync(log)
  const why = readFileSync(path, 'utf8').trim().split('\n').at(-1)
  if (status !== 0) note(`${name} starts no container here${isRoot ? `: ${why}` : ': try --root'}`)
  return status === 0
}

function crun(): Container | undefined {
  const crun = ['crun', '--root', join(work, 'crun'), '--cgroup-manager=disabled']
  const bundle = makeBundle('held', {}, ['/usr/bin/sleep', '1000'])
  cpSync(exitProgram(), join(bundle, 'rootfs/exit'))
  if (!started('crun', [...crun, 'run', '--detach', '--bundle', bundle, 'held'])) return
  return {
    exec: [...crun, 'exec', 'held', '/exit'] as unknown as Command,
    remove: [...crun, 'delete', '--force', 'held'] as unknown as Command,
  }
}

/** With a root filesystem of its own, for no image can be had here; what holds it open is podman's own init, which needs nothing from it. */
function podman(): Container | undefined {
  const root = join(work, 'rootfs')
  for (const name of ['bin', 'usr', 'lib', 'lib64']) mkdirSync(join(root, name), { recursive: true })
  cpSync(exitProgram(), join(root, 'bin/exit'))
  const mounts = ['usr', 'lib', 'lib64'].flatMap((name) => [
    '--volume',
    `/usr/${name === 'usr' ? '' : name}:/${name}:ro`,
  ])
  const remove: Command = ['podman', 'rm', '--force', '--time', '0', 'vial-bench']
  // Its own defaults are above what a machine may allow.
  const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=4096:4096']
  const options = [...limits, '--network', 'none', '--cgroups', 'disabled', ...mounts, '--rootfs', root]
  if (started('podman', ['podman', 'run', '--detach', '--name', 'vial-bench', ...options, '/usr/bin/sleep', '1000']))
    return { exec: ['podman', 'exec', 'vial-bench', '/bin/exit'], remove }
  spawnSync(remove[0]!, remove.slice(1), { stdio: 'ignore' })
  return
}

const others = [
  { name: 'crun', target: 0.15, start: crun },
  { name: 'podman', target: 0.02, start: podman },
] as const

export async function bench(): Promise<void> {
  if (isRoot && isHybrid()) {
    const words = [fileURLToPath(import.meta.url), '--directory', work, '--runs', String(runs), '--root']
    const args = ['--mount', 'sh', '-c', onlyVersion2, 'sh', process.execPath, ...words]
    process.exitCode = spawnSync('unshare', args, { stdio: 'inherit' }).status ?? 1
    return
  }
  await using box = await sandbox(withExit(policy)).open()
  const enter = enterCommand(box.pid, exitInside)
  const rounds = Math.max(10, Math.ceil(runs / 10))
  const runners: Runner[] = []
  for (const { name, target, start } of others) {
    if (installed(name) === undefined) {
      note(`not installed: ${name}`)
      continue
    }
    const container = start()
    if (container === undefined) continue
    const [mine, theirs] = race(rounds, [enter, container.exec])
    const against = { name: `${name} exec`, times: theirs!, target }
    runners.push(
      { name: `enter, beside ${name} exec`, times: mine!, against },
      { name: `${name} exec`, times: theirs! },
    )
    spawnSync(container.remove[0]!, container.remove.slice(1), { stdio: 'ignore' })
  }
  if (runners.length > 0) raceTable(`A command more in a container that runs, ${rounds} in turn with each`, runners)
}

await alone(import.meta.url, bench)
