/** The options of bwrap(1): a row for each, with its words, its help, and what it asks for. */
import { posix } from 'node:path'
import { type CapabilityName, capabilities } from '../kernel/capabilities.js'
import { printable } from '../text/printable.js'
import type { Entry } from '../policy/schema.js'
import type { BwrapRequest } from './bwrapRequest.js'
import { bytes, descriptor, octal, id as readId } from './numbers.js'
import { BwrapError, type State } from './state.js'
export interface Option {
  /** Names of its arguments, as the usage shows them. */
  readonly operands: string
  readonly help: string
  /** How bwrap words a missing argument; default by their number. */
  readonly takes?: string
  /** Says something about the next operation. */
  readonly modifier?: boolean
  /** Given again, only the last counts, and a warning says so. */
  readonly once?: boolean
  readonly apply: (state: State, values: readonly string[], name: string) => void
}

/** Keys of a request whose values are of this type. */
type KeyOfA<Type> = {
  [Key in keyof BwrapRequest]: [BwrapRequest[Key], Type] extends [Type, BwrapRequest[Key]] ? Key : never
}[keyof BwrapRequest]

const warned = { once: true } as const

/** The table. Help is in our words; names, operands and behaviour are bwrap(1)'s. */
export const options: Readonly<Record<string, Option>> = {
  '--help': { operands: '', help: 'Show this list', apply: stop('help') },
  '--version': { operands: '', help: 'Show the version', apply: stop('version') },
  '--args': { operands: 'FD', help: 'Read more options from FD, each ended by a NUL', apply: () => {} },
  '--argv0': {
    operands: 'VALUE',
    help: 'What COMMAND sees as argv[0]',
    apply: (state, [value]) => {
      if (state.request.argv0 !== undefined) throw new BwrapError('--argv0 used multiple times')
      state.request.argv0 = value
    },
  },
  '--level-prefix': flag('levelPrefix', 'Begin messages with their severity, such as <3>'),
  '--unshare-all': {
    operands: '',
    help: 'New namespaces of every kind that can be made',
    apply: ({ request: { unshare } }) => {
      if (unshare.user === 'no') unshare.user = 'try'
      if (unshare.cgroup === 'no') unshare.cgroup = 'try'
      unshare.ipc = unshare.pid = unshare.net = unshare.uts = true
    },
  },
  '--share-net': {
    operands: '',
    help: 'Keep the network, after --unshare-all',
    apply: ({ request: { unshare } }) => {
      unshare.net = false
    },
  },
  '--unshare-user': unshares('user', 'yes', 'A new user namespace (implied unless the caller is root)'),
  '--unshare-user-try': unshares('user', 'try', 'A new user namespace if one can be made'),
  '--unshare-ipc': unshares('ipc', true, 'A new ipc namespace'),
  '--unshare-pid': unshares('pid', true, 'A new pid namespace'),
  '--unshare-net': unshares('net', true, 'A new network namespace'),
  '--unshare-uts': unshares('uts', true, 'A new uts namespace'),
  '--unshare-cgroup': unshares('cgroup', 'yes', 'A new cgroup namespace'),
  '--unshare-cgroup-try': unshares('cgroup', 'try', 'A new cgroup namespace if one can be made'),
  '--userns': fd('userns', 'Join this user namespace (not with --unshare-user)'),
  '--userns2': fd('userns2', 'Join this user namespace when all is set up, with --userns'),
  '--refuse-links': flag(
    'refuseLinks',
    'Not of bubblewrap: refuse links at places below a mount, and those in a source that lead out of what a --bind shows',
  ),
  '--disable-userns': flag('disableUserns', 'Allow no further user namespaces inside'),
  '--assert-userns-disabled': flag('assertUsernsDisabled', 'Fail if user namespaces could be made inside'),
  '--pidns': fd('pidns', 'Join this pid namespace, or make the new one below it'),
  '--uid': id('uid', 'User id inside (needs --unshare-user or --userns)'),
  '--gid': id('gid', 'Group id inside (needs --unshare-user or --userns)'),
  '--hostname': {
    operands: 'NAME',
    help: 'Host name inside (needs --unshare-uts)',
    ...warned,
    apply: (state, [name]) => {
      state.request.hostname = name
    },
  },
  '--chdir': {
    operands: 'DIR',
    help: 'Working directory',
    takes: 'one argument',
    ...warned,
    apply: (state, [directory]) => {
      state.request.chdir = directory
    },
  },
  '--clearenv': {
    operands: '',
    help: 'Hand on no variable but PWD',
    apply: (state) => {
      state.request.environment.clear = true
      state.request.environment.set.clear()
      state.request.environment.unset.clear()
    },
  },
  '--setenv': {
    operands: 'VAR VALUE',
    help: 'Set a variable',
    apply: (state, [name, value]) => {
      if (name === '' || name!.includes('=')) throw new BwrapError('setenv failed')
      state.request.environment.set.set(name!, value!)
      state.request.environment.unset.delete(name!)
    },
  },
  '--unsetenv': {
    operands: 'VAR',
    help: 'Remove a variable',
    apply: (state, [name]) => {
      if (name === '' || name!.includes('=')) throw new BwrapError('unsetenv failed')
      state.request.environment.set.delete(name!)
      state.request.environment.unset.add(name!)
    },
  },
  '--lock-file': {
    operands: 'DEST',
    help: 'Hold a lock on DEST as long as the sandbox runs',
    apply: (state, [path]) => {
      state.request.lockFiles.push(path!)
    },
  },
  '--sync-fd': fd('syncFd', 'Hold FD open as long as the sandbox runs'),
  '--bind': bind({ writable: true }, 'Show SRC of the host at DEST'),
  '--bind-try': bind({ writable: true, optional: true }, 'As --bind, unless SRC does not exist'),
  '--dev-bind': bind({ writable: true, devices: true }, 'As --bind, and devices work'),
  '--dev-bind-try': bind({ writable: true, devices: true, optional: true }, 'As --dev-bind, unless SRC does not exist'),
  '--ro-bind': bind({}, 'Show SRC of the host at DEST, read-only'),
  '--ro-bind-try': bind({ optional: true }, 'As --ro-bind, unless SRC does not exist'),
  '--bind-fd': bindFd({ writable: true }, 'Show the file or directory that is open as FD'),
  '--ro-bind-fd': bindFd({}, 'As --bind-fd, read-only'),
  '--remount-ro': {
    operands: 'DEST',
    help: 'Make the mount at DEST read-only, but not those beneath it',
    takes: 'one argument',
    apply: (state, [place]) => {
      state.request.filesystem.push({ readonly: inside(place!), recursive: false, mount: true })
    },
  },
  '--overlay-src': {
    operands: 'SRC',
    help: 'A layer of the overlay that comes next; the first is the lowest',
    modifier: true,
    apply: (state, [source]) => {
      state.layers.unshift(source!)
    },
  },
  '--overlay': {
    operands: 'RWSRC WORKDIR DEST',
    help: 'Mount an overlay that writes to RWSRC',
    apply: (state, [upper, work, place], name) => {
      overlay(state, name, 1, place!, { upper: { upper: upper!, work: work! } })
    },
  },
  '--tmp-overlay': {
    operands: 'DEST',
    help: 'Mount an overlay that writes to memory',
    apply: (state, [place], name) => {
      overlay(state, name, 1, place!, { upper: 'tmpfs' })
    },
  },
  '--ro-overlay': {
    operands: 'DEST',
    help: 'Mount an overlay that cannot be written',
    apply: (state, [place], name) => {
      overlay(state, name, 2, place!, {})
    },
  },
  '--exec-label': label('SELinux label of COMMAND'),
  '--file-label': label('SELinux label of what is made'),
  '--proc': mount('proc', 'Mount a proc'),
  '--dev': mount('dev', 'Mount a minimal /dev'),
  '--tmpfs': {
    operands: 'DEST',
    help: 'Mount a tmpfs',
    apply: (state, [place]) => {
      const size = state.size === undefined ? {} : { size: state.size }
      state.request.filesystem.push({ tmpfs: inside(place!), mode: state.perms ?? 0o755, ...size })
      state.perms = undefined
      state.size = undefined
    },
  },
  '--mqueue': mount('mqueue', 'Mount an mqueue'),
  '--dir': {
    operands: 'DEST',
    help: 'Make a directory',
    apply: (state, [place]) => {
      // mkdir(2) takes the nine permission bits and the sticky bit, and bwrap calls no chmod(2) behind it.
      state.request.filesystem.push({ directory: inside(place!), mode: taken(state, 0o755) & 0o1777 })
    },
  },
  '--file': file(undefined, 0o666, 'Copy what FD gives to DEST'),
  '--bind-data': file('writable', 0o600, 'Mount a copy of what FD gives on DEST'),
  '--ro-bind-data': file('readonly', 0o600, 'As --bind-data, read-only'),
  '--symlink': {
    operands: 'SRC DEST',
    help: 'Make a link at DEST to SRC',
    apply: (state, [target, place]) => {
      state.request.filesystem.push({ symlink: inside(place!), to: target! })
    },
  },
  '--seccomp': {
    operands: 'FD',
    help: 'Put the filter that FD gives in force',
    ...warned,
    apply: (state, [value]) => {
      const { request, seccompFd } = state
      if (seccompFd === undefined && request.seccompFds.length > 0)
        throw new BwrapError('--seccomp cannot be combined with --add-seccomp-fd')
      state.seccompFd = descriptor(value!)
      request.seccompFds = [state.seccompFd]
    },
  },
  '--add-seccomp-fd': {
    operands: 'FD',
    help: 'As --seccomp, and may be given again',
    apply: (state, [value]) => {
      if (state.seccompFd !== undefined) throw new BwrapError('--add-seccomp-fd cannot be combined with --seccomp')
      state.request.seccompFds.push(descriptor(value!))
    },
  },
  '--block-fd': fd('blockFd', 'Wait until FD gives something'),
  '--userns-block-fd': fd('usernsBlockFd', 'Wait for FD until another process has written the id maps'),
  '--info-fd': fd('infoFd', 'Write what the sandbox is to FD, as JSON'),
  '--json-status-fd': fd('jsonStatusFd', 'Write lines of JSON to FD, when it starts and when it ends'),
  '--new-session': flag('newSession', 'A new session, apart from the terminal'),
  '--die-with-parent': flag('dieWithParent', 'Kill everything when the caller dies'),
  '--as-pid-1': flag('asPid1', 'COMMAND is pid 1; nothing reaps for it'),
  '--cap-add': capability('add', 'Give a capability, or ALL'),
  '--cap-drop': capability('drop', 'Take a capability, or ALL'),
  '--perms': {
    operands: 'OCTAL',
    help: 'Mode of what the next option makes',
    modifier: true,
    apply: (state, [value], name) => {
      if (state.perms !== undefined) throw new BwrapError('--perms given twice for the same action')
      state.perms = octal(value!, name)
    },
  },
  '--size': {
    operands: 'BYTES',
    help: 'Size of the tmpfs that comes next',
    modifier: true,
    apply: (state, [value]) => {
      if (state.size !== undefined) throw new BwrapError('--size given twice for the same action')
      state.size = bytes(value!)
    },
  },
  '--chmod': {
    operands: 'OCTAL PATH',
    help: 'Set the mode of what is there',
    apply: (state, [value, place], name) => {
      state.request.filesystem.push({ chmod: inside(place!), mode: octal(value!, name) })
    },
  },
}

/** Ends the parsing: something is printed instead of a run. */
export class Stop extends Error {
  constructor(readonly kind: 'help' | 'version') {
    super()
  }
}

function stop(kind: 'help' | 'version'): Option['apply'] {
  return () => {
    throw new Stop(kind)
  }
}

function flag(key: KeyOfA<boolean>, help: string): Option {
  return {
    operands: '',
    help,
    apply: (state) => {
      state.request[key] = true
    },
  }
}

/** A later "if possible" does not weaken what was demanded. */
function unshares<Kind extends keyof BwrapRequest['unshare']>(
  kind: Kind,
  value: BwrapRequest['unshare'][Kind],
  help: string,
): Option {
  return {
    operands: '',
    help,
    apply: ({ request: { unshare } }) => {
      if (value !== 'try' || unshare[kind] === 'no') unshare[kind] = value
    },
  }
}

function fd(key: KeyOfA<number | undefined>, help: string): Option {
  return {
    operands: 'FD',
    help,
    ...warned,
    apply: (state, [value]) => {
      state.request[key] = descriptor(value!)
    },
  }
}

function id(key: 'uid' | 'gid', help: string): Option {
  return {
    operands: key.toUpperCase(),
    help,
    ...warned,
    apply: (state, [value]) => {
      state.request[key] = readId(value!, key)
    },
  }
}

type BindFlags = { writable?: boolean; devices?: boolean; optional?: boolean }
function bind(flags: BindFlags, help: string): Option {
  return {
    operands: 'SRC DEST',
    help,
    apply: (state, [from, place]) => {
      state.request.filesystem.push({ bind: inside(place!), from: from!, ...flags })
    },
  }
}

function bindFd(flags: BindFlags, help: string): Option {
  return {
    operands: 'FD DEST',
    help,
    apply: (state, [value, place]) => {
      state.request.filesystem.push({ bind: inside(place!), fd: descriptor(value!), ...flags })
    },
  }
}

function mount(kind: 'proc' | 'dev' | 'mqueue', help: string): Option {
  return {
    operands: 'DEST',
    help,
    apply: (state, [place]) => {
      state.request.filesystem.push({ [kind]: inside(place!) } as Entry)
    },
  }
}

function file(over: 'readonly' | 'writable' | undefined, mode: number, help: string): Option {
  return {
    operands: 'FD DEST',
    help,
    apply: (state, [value, place]) => {
      const common = { file: inside(place!), fd: descriptor(value!), mode: taken(state, mode) }
      state.request.filesystem.push(over === undefined ? common : { ...common, mount: over })
    },
  }
}

type Upper = { upper?: 'tmpfs' | { upper: string; work: string } }
function overlay(state: State, name: string, least: number, place: string, upper: Upper): void {
  if (state.layers.length < least)
    throw new BwrapError(`${name} requires at least ${least === 1 ? 'one' : 'two'} --overlay-src`)
  state.request.filesystem.push({ overlay: inside(place), lower: state.layers, ...upper })
  state.layers = []
}

/** https://www.kernel.org/doc/html/latest/security/lsm.html: without SELinux nothing could honour a label. */
function label(help: string): Option {
  return {
    operands: 'LABEL',
    help,
    apply: () => {
      throw new BwrapError('labeling not supported on this system')
    },
  }
}

function capability(change: 'add' | 'drop', help: string): Option {
  return {
    operands: 'CAP',
    help,
    apply: (state, [value]) => {
      const name = value!.toUpperCase()
      if (name !== 'ALL' && !Object.hasOwn(capabilities, name)) throw new BwrapError(`unknown cap: ${value}`)
      state.request.capabilities.push({ change, name: name as CapabilityName | 'ALL' })
    },
  }
}

/** The mode that --perms gave, used up. */
function taken(state: State, fallback: number): number {
  const mode = state.perms ?? fallback
  state.perms = undefined
  return mode
}

/** Places are relative to the new root, and ".." does not leave it. */
function inside(place: string): string {
  if (place === '') return '/'
  return place.split('/').includes('..') ? posix.normalize(`/${place}`) : place
}

/** How many words follow an option. */
export const arity = (option: Option) => (option.operands === '' ? 0 : option.operands.split(' ').length)

/** The usage, from the table; `called` is argv[0], as bwrap(1) has it. */
export function usage(called: string): string {
  const lines = Object.entries(options).map(
    ([name, { operands, help }]) => `    ${`${name} ${operands}`.trimEnd().padEnd(32)} ${help}`,
  )
  return `usage: ${printable(called)} [OPTIONS...] [--] COMMAND [ARGS...]\n\n${lines.join('\n')}\n`
}

/** The options by name, for what lists them. */
export const optionNames: readonly string[] = Object.keys(options)

/** How many words follow each option: what the fast front has to know of them. */
export const optionWords: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(options).map(([name, option]) => [name, arity(option)]),
)
