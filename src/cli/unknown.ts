/** Flags that a command lacks: what they are called here. Docker's and bubblewrap's are what fingers know. */
import { namespaceNames } from '../kernel/namespaces.js'
import { closest } from '../text/closest.js'
import type { Command } from './command.js'
import { commands } from './commands.js'
import { startOptions } from './liveFlags.js'

const none = 'leave it out'
const inPolicy = (key: string) => `"${key}" of a policy (--policy FILE) sets it`

/** Of docker run(1) and podman-run(1); letters may be written together, as in `-it`. */
export const containers: Readonly<Record<string, string>> = {
  '-d': 'write vial start --name NAME -- COMMAND: it goes on by itself',
  '-p': 'nothing reaches the loopback inside: --network host has the ports of the host',
  '-P': 'nothing reaches the loopback inside: --network host has the ports of the host',
  '-v': 'write --rw PATH[:INSIDE], or --ro PATH[:INSIDE] for read-only',
  '-e': 'write --env NAME=VALUE, or --env NAME for the value that the caller has',
  '-w': 'write --cwd INSIDE',
  '-u': 'write --uid ID and --gid ID',
  '-m': 'write --memory SIZE',
  '-c': `${inPolicy('limits.cpuWeight')}; a command for a shell follows --`,
  '--rm': `a run leaves nothing behind: ${none}`,
  '--name': 'write vial start --name NAME -- COMMAND: others enter it by that name',
  '--net': 'write --network none, the default, --network private or --network host',
  '--entrypoint': 'the command is what follows --',
  '--env-file': 'write --env NAME=VALUE for each variable',
  '--mount': 'write --rw PATH[:INSIDE], --ro PATH[:INSIDE] or --tmpfs INSIDE[:SIZE]',
  '--read-only': `only what --rw and --tmpfs show can be written: ${none}`,
  '--privileged':
    'there is no sandbox without walls: show what is needed with --rw; "vial explain --security" tells what is closed',
  '--cap-add': inPolicy('capabilities'),
  '--cap-drop': `the command holds no capability: ${none}`,
  '--security-opt': '--seccomp NAME|FILE gives the filter of system calls; no_new_privs is always set',
  '--pids-limit': 'write --pids COUNT',
  '--memory-swap': inPolicy('limits.swap'),
  '--cpuset-cpus': inPolicy('limits.cpuset'),
  '--cpu-shares': inPolicy('limits.cpuWeight'),
  '--ulimit': inPolicy('rlimits'),
  '--shm-size': 'write --tmpfs /dev/shm:SIZE',
  '--init': `pid 1 of a sandbox reaps: ${none}`,
  '--pid': `${inPolicy('namespaces.pid')}; --pids COUNT limits how many there may be`,
  '--ipc': inPolicy('namespaces.ipc'),
  '--uts': inPolicy('namespaces.uts'),
  '--userns': inPolicy('namespaces.user'),
  '--cgroupns': inPolicy('namespaces.cgroup'),
  '--device': 'an entry { "bind": "/dev/…", "devices": true } of a policy (--policy FILE) sets it',
  '--add-host': 'an entry { "file": "/etc/hosts", "content": "…" } of a policy (--policy FILE) sets it',
}
const longer: Readonly<Record<string, string>> = {
  '--detach': '-d',
  '--publish': '-p',
  '--publish-all': '-P',
  '--expose': '-p',
  '--volume': '-v',
  '--workdir': '-w',
  '--user': '-u',
}

/** Of bwrap(1). */
export const bubblewrap: Readonly<Record<string, string>> = {
  '--ro-bind': 'write --ro SRC:DEST',
  '--ro-bind-try': 'write --ro SRC:DEST, if SRC is there',
  '--bind': 'write --rw SRC:DEST',
  '--bind-try': 'write --rw SRC:DEST, if SRC is there',
  '--dev-bind': 'an entry { "bind": "DEST", "from": "SRC", "devices": true } of a policy (--policy FILE) sets it',
  '--dev': 'the preset system and --fill make a /dev',
  '--proc': 'the preset system and --fill make a /proc',
  '--dir': 'write --tmpfs INSIDE',
  '--symlink': 'an entry { "symlink": "DEST", "to": "SRC" } of a policy (--policy FILE) sets it',
  '--file': 'an entry { "file": "DEST", "content": "…" } of a policy (--policy FILE) sets it',
  '--chdir': 'write --cwd INSIDE',
  '--setenv': 'write --env NAME=VALUE',
  '--unsetenv': `of the caller's variables only TERM is handed on: ${none}`,
  '--clearenv': `of the caller's variables only TERM is handed on: ${none}`,
  '--share-net': 'write --network host',
  '--die-with-parent': `this is always so: ${none}`,
  '--new-session': `this is so without --share-session: ${none}`,
  '--as-pid-1': inPolicy('init'),
  '--disable-userns': inPolicy('disableUserns'),
  '--perms': '"mode" of an entry of a policy (--policy FILE) sets it',
  '--size': 'write --tmpfs INSIDE:SIZE',
}
const unshare = new RegExp(`^--unshare-(all|${namespaceNames.join('|')})(-try)?$`)
const alsoBwrap = '\n      "vial bwrap" takes bubblewrap\'s options as they are'

/** What goes behind `there is no flag …`. */
export function adviceOn(flag: string, command: Command): string {
  const known = foreign(flag, command)
  if (known !== undefined) return `:${known.startsWith('\n') ? '' : ' '}${known}`
  const { flagsOfStart } = command
  if (flagsOfStart !== undefined && startOptions.some(({ name }) => `--${name}` === flag)) return `: ${flagsOfStart}`
  const typed = flag.replace(/^-+/, '')
  const near = typed.length < 2 ? undefined : closest(typed, [...command.options.map(({ name }) => name), 'help'])
  if (near !== undefined) return ` (did you mean --${near}?)`
  const elsewhere = ofOthers(typed)
  return elsewhere === undefined ? '' : `: ${elsewhere}`
}

function ofOthers(typed: string): string | undefined {
  const others = commands.filter(({ options }) => options.some(({ name, short }) => name === typed || short === typed))
  return others.length === 0 ? undefined : `it is one of ${others.map(({ name }) => `"vial ${name}"`).join(', ')}`
}

function foreign(flag: string, command: Command): string | undefined {
  const makesPolicy = command.options.some(({ name }) => name === 'rw')
  // Others run no command.
  if (!makesPolicy && command.words !== 'command') return undefined
  const own = ofContainers(longer[flag] ?? flag, command)
  if (own !== undefined) return own
  if (/^-[A-Za-z]{2,4}$/.test(flag)) return lettersTogether(flag, command)
  if (!makesPolicy) return undefined
  if (unshare.test(flag)) return ownNamespace + alsoBwrap
  const bwrap = bubblewrap[flag]
  return bwrap === undefined ? undefined : bwrap + alsoBwrap
}

/** Each that the command lacks is told. */
function lettersTogether(flag: string, command: Command): string | undefined {
  const letters = [...new Set(flag.slice(1))]
    .filter((letter) => !command.options.some(({ short }) => short === letter))
    .map((letter) => [letter, ofContainers(`-${letter}`, command) ?? ofOthers(letter)] as const)
  if (letters.some(([, words]) => words === undefined)) return undefined
  return letters.map(([letter, words]) => `\n      -${letter}: ${words}`).join('')
}

/** Of the advice what names no flag that the command lacks, or that of the other command it names. */
function ofContainers(flag: string, { options }: Command): string | undefined {
  const clauses = containers[flag]?.split('; ') ?? []
  const makesPolicy = options.some(({ name }) => name === 'rw')
  const fit = clauses.filter((clause) => {
    const known = makesPolicy && clause.includes('vial start ') ? [...options, ...startOptions] : options
    return [...clause.matchAll(/--([a-z][\w-]*)/g)].every(([, named]) => known.some(({ name }) => name === named))
  })
  return fit.length === 0 ? undefined : fit.join('; ')
}

const ownNamespace = `each sandbox has namespaces of its own: ${none}`
