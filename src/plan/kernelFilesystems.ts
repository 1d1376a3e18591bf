/** /proc, /sys and /dev: what the kernel shows, and what of it is guarded. */
import type { Entry } from '../policy/schema.js'
import { type Guard, guardStep, procGuard, sysGuard } from './guards.js'
import { hints } from './hints.js'
import { type Planner, relative } from './planner.js'

const deviceNodes = ['null', 'zero', 'full', 'random', 'urandom', 'tty']
const deviceLinks: readonly (readonly [string, string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['core', '/proc/kcore'],
  ['ptmx', 'pts/ptmx'],
]

export function proc(planner: Planner, entry: Extract<Entry, { proc: string }>): void {
  const at = entry.proc
  const { pids, nests, style, ownSession } = planner.context
  const { procReadonly, guarded } = style
  // Its modes let a user change other processes of the same user, as in oom_score_adj, and the share of all in a session, in
  // autogroup (sched(7)), which no namespace and no Landlock hinders.
  const shared = pids === 'host' || pids === 'joined' || !ownSession
  const readonly = guarded && shared && !nests && entry.masked !== false
  if (pids === 'host') planner.bind({ bind: at, from: '/proc', writable: !readonly })
  else {
    const options = (['subset', 'hidepid'] as const).flatMap((key) =>
      entry[key] === undefined ? [] : [[key, entry[key]] as const],
    )
    const flags = { readonly, nosuid: true, nodev: true, noexec: true }
    planner.mount('proc', at, options, flags, 'foreign', "shows the sandbox's own processes only")
  }
  if (guarded && entry.masked !== false) {
    // Pid 1 is not dumpable, and so its files are root's, proc(5): a payload that is root outside could write there.
    const init = pids === 'reaper' && !nests ? ['1'] : []
    if (entry.subset === undefined) guard(planner, at, { ...procGuard, readonly: [...init, ...procGuard.readonly] })
    else if (init.length > 0) guard(planner, at, { ...procGuard, readonly: init, masked: [], worldReadable: [] })
  }
  for (const name of procReadonly) {
    planner.push({
      do: 'readonly',
      place: { path: `${relative(at)}/${name}`, owned: false, planted: false },
      recursive: true,
      only: 'writable',
      flags: { readonly: true },
      what: `make ${at}/${name} read-only`,
      why: "it reaches the host's kernel",
    })
  }
}

/** A new one belongs to a network namespace, and takes privilege over it; of the host's, there is only a view. */
export function sysfs(planner: Planner, at: string): void {
  const flags = { readonly: true, nosuid: true, nodev: true, noexec: true }
  if (planner.context.ownNet)
    planner.mount('sysfs', at, [], flags, 'foreign', "devices as the sandbox's network has them")
  else planner.bind({ bind: at, from: '/sys', noexec: true })
  guard(planner, at, sysGuard)
}

function guard(planner: Planner, at: string, what: Guard): void {
  const { nests, hostIds } = planner.context
  planner.push(guardStep(at, planner.place(at), what, { nests, hostIds }))
}

export function dev(planner: Planner, at: string): void {
  const { style } = planner.context
  planner.mount(
    'tmpfs',
    at,
    [['mode', '0755'], ...style.devSize, ...planner.ownerOptions(undefined)],
    style.dev,
    'ours',
    'a minimal /dev',
  )
  for (const name of deviceNodes) {
    planner.make(`${at}/${name}`, 'foreign', (place) => ({
      do: 'bind',
      place,
      source: `/dev/${name}`,
      recursive: false,
      optional: false,
      above: [],
      flags: style.deviceNode,
      what: `bind the device /dev/${name}`,
      why: 'programs expect it',
      hints: hints.source,
    }))
  }
  for (const [name, target] of deviceLinks) planner.symlink(`${at}/${name}`, target)
  planner.mount(
    'devpts',
    `${at}/pts`,
    [
      ['newinstance', ''],
      ['ptmxmode', '0666'],
      ['mode', '0620'],
    ],
    { nosuid: true, noexec: true },
    'foreign',
    "terminals of the sandbox's own",
  )
  if (!planner.context.ownTerminal)
    planner.make(`${at}/console`, 'foreign', (place) => ({
      do: 'console',
      place,
      flags: style.deviceNode,
      what: `show the terminal as ${at}/console`,
      why: 'ttyname(3) finds what standard output is',
    }))
  if (style.shm === 'directory') {
    planner.directory({ directory: `${at}/shm` })
    return
  }
  planner.mount(
    'tmpfs',
    `${at}/shm`,
    [['mode', '1777'], ...planner.room(undefined, undefined), ...planner.ownerOptions(undefined)],
    { nosuid: true, nodev: true, noexec: true },
    'ours',
    'POSIX shared memory',
  )
}
