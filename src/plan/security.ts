/**
 * What stands between the payload and the host, read off a plan: each line is there because a step is. What a plan does
 * not do is said as plainly, in `open`.
 */
import type { CapabilityName } from '../kernel/capabilities.js'
import { CLONE, F, IP, IPPROTO, PRIO, SIOC, TIOC } from '../kernel/flags.js'
import { rlimits } from '../kernel/rlimits.js'
import { limitTable, starvingLimits } from '../policy/limits.js'
import { place, View } from './securityView.js'
import type { Plan } from './step.js'

/** One kind of attack, and what stands against it. */
export interface SecurityRow {
  /** What an attacker wants. */
  readonly attack: string
  /** Walls, one sentence each. */
  readonly stands: readonly string[]
  /** Where nothing stands. */
  readonly open: readonly string[]
}

/** What the plan does not show: who holds the sandbox to the limits of its policy. */
export interface Beside {
  /** Limits, and who holds the sandbox to each. */
  readonly limits?: readonly HeldLimit[]
}
export interface HeldLimit {
  /** The limit's key. */
  readonly name: string
  /** Its value, as text. */
  readonly value: string
  /** `none`: nothing does. */
  readonly by: string
}

type Say = (condition: unknown, stands: string, open?: string) => void

const list = (places: readonly string[]) => places.join(', ')
const either = (words: readonly string[]) => words.join(', ').replace(/, ([^,]*)$/, ' or $1')

/** What root mode's capabilities make of a file in a place that is shown to be written; capabilities(7). */
const asRootOutside: readonly { readonly needs: readonly CapabilityName[]; readonly makes: string }[] = [
  { needs: ['CAP_SETUID'], makes: 'a file of root that is setuid' },
  { needs: ['CAP_CHOWN', 'CAP_FOWNER'], makes: 'a file of root that is setuid' },
  { needs: ['CAP_SETFCAP'], makes: 'a file with capabilities' },
]

const rows: readonly (readonly [attack: string, judge: (view: View, say: Say, beside: Beside) => void])[] = [
  [
    'files',
    (view, say) => {
      const root = view.first('rootTmpfs') ?? view.first('rootBind')
      say(view.makes('mount') && root, `its own root: ${root?.what}`, `the file tree is ${view.notOwn('mount')}`)
      say(view.first('pivot'), "the host's root is detached")
      const binds = view.shown
      const readonly = binds.filter(({ flags }) => flags.readonly).length
      say(readonly > 0, `${readonly} places of the host are shown read-only, nosuid and nodev`)
      for (const { flags, what } of binds)
        if (!flags.readonly) say(false, '', `writable, with the caller's rights: ${what}`)
      for (const { upper } of view.all('overlay'))
        if (typeof upper === 'object') say(false, '', `writable, with the caller's rights: ${upper.upper.path}`)
      const { files } = view.first('landlock') ?? {}
      const writable = files?.rules.filter(({ grants }) => grants.includes('write')).map(({ path }) => path)
      say(
        files,
        `${view.landlock}: no write but beneath ${writable?.length ? list(writable) : 'nothing'}, and no mount`,
        'no Landlock: the mounts are the only wall',
      )
      if (files !== undefined && !view.first('landlock')!.required)
        say(false, '', 'on a kernel before 5.19 or without Landlock, the mounts are the only wall')
      // Packages own what the preset shows of /var.
      const followed = view.elsewhere.filter(
        ({ source, within }) => typeof source === 'string' && within === undefined && !source.startsWith('/var/'),
      )
      if (followed.length > 0)
        say(
          false,
          '',
          `links on the way to what lies at ${list(followed.map((step) => view.at(step)))} are followed wherever they lead: where another sandbox writes above it, name that directory in beneath`,
        )
      if (binds.length === 0) return
      say(
        !view.lets('fcntl', 0, F.SETLEASE),
        'no lease: no program outside waits for what is shown (F_SETLEASE)',
        'a lease on a file of its own uid that is shown, also read-only, makes programs outside wait (F_SETLEASE)',
      )
      if (view.lets('flock'))
        say(
          false,
          '',
          'advisory locks on what is shown, also read-only: a program outside that asks for the same lock waits',
        )
      if (view.lets('inotify_add_watch'))
        say(
          false,
          '',
          'inotify tells which files of what is shown any process opens, and so which programs are run by others',
        )
    },
  ],
  [
    'devices',
    (view, say) => {
      const nodes = view.all('bind').filter(({ flags }) => !flags.nodev)
      const plain = nodes.filter(({ flags, recursive }) => flags.readonly && !recursive)
      say(
        view.makes('mount'),
        `nodev everywhere, but for ${list(plain.map((step) => place(step.place.path))) || 'nothing'}`,
        'all device nodes of the host, as far as their modes allow',
      )
      for (const step of nodes) if (!plain.includes(step)) say(false, '', `device nodes work: ${step.what}`)
      // A user namespace other than the first never makes nodes that work, whatever its capabilities.
      say(
        !view.rootMode || (view.kept && !view.kept.includes('CAP_MKNOD')),
        view.rootMode ? 'no CAP_MKNOD: no node can be made' : 'its user namespace can make no node',
        'CAP_MKNOD: it may make device nodes',
      )
      say(false, '', 'no device cgroup: nodev is what keeps other devices away')
    },
  ],
  [
    'processes',
    (view, say) => {
      say(
        view.makes('pid'),
        'its own pid namespace: no other process can be named',
        `processes are seen in ${view.notOwn('pid')} pid namespace`,
      )
      for (const { what } of view.hostProc)
        say(false, '', `command lines of all processes, and all else that /proc shows to every user: ${what}`)
      if (!view.makes('pid'))
        say(
          !view.lets('prlimit64', 2, rlimits.cpu, 1n << 40n) && !view.lets('setpriority', PRIO.PROCESS, 2),
          'the filter lets it change the limits, priority and processors of itself alone',
          "limits, priority and processors of processes of the same user can be changed, vial's own among them",
        )
      say(view.first('landlock'), `${view.landlock} (ABI 6): no signal leaves`)
      if (!view.makes('pid') && view.first('landlock') === undefined)
        say(false, '', "processes of the same user can be signalled, vial's own among them")
      // kill(2) with 0 asks no pid namespace.
      if (view.first('session') === undefined)
        say(
          false,
          '',
          `a signal to its own process group reaches the caller's${view.first('landlock') === undefined ? '' : ', before Linux 6.12'}`,
        )
      say(
        view.plan.initIs === 'reaper',
        'pid 1, or what stands for it, cannot be traced, read or opened through /proc',
        'pid 1 is the payload itself: no other process reaps what it leaves',
      )
      say(
        view.first('dieWithParent'),
        view.makes('pid') ? 'all of it dies with its parent' : 'the payload dies with its parent',
        'it may outlive its parent',
      )
      if (!view.makes('pid')) say(false, '', 'what the payload leaves in the background lives on')
    },
  ],
  [
    'network',
    (view, say) => {
      say(
        view.makes('net'),
        `its own network namespace: ${view.first('loopback') === undefined ? 'no device is up' : 'only a loopback'}`,
        `${view.notOwn('net')} network, with all that listens on its loopback`,
      )
      if (view.makes('net'))
        say(
          !view.lets('ioctl', 0, SIOC.GIFFLAGS),
          "a socket of another network that is handed over cannot be asked for that network's devices (ioctl)",
          'a socket of another network that is handed over shows its devices and addresses, and changes them with CAP_NET_ADMIN over it',
        )
      else
        say(
          !view.lets('setsockopt', 0, IPPROTO.IP, IP.ADD_MEMBERSHIP),
          'no multicast group can be joined',
          'multicast groups can be joined: it hears what others announce (mDNS)',
        )
    },
  ],
  [
    'ipc',
    (view, say) => {
      say(
        view.makes('ipc'),
        'its own System V and POSIX queues, semaphores and shared memory',
        `${view.notOwn('ipc')} System V and POSIX objects`,
      )
      const scoped = view.first('landlock') !== undefined
      say(
        view.makes('net') || scoped,
        view.makes('net')
          ? 'abstract unix sockets are those of its own network'
          : `${view.landlock} (ABI 6): no abstract unix socket outside`,
        "the host's abstract unix sockets",
      )
      if (view.elsewhere.length > 0)
        say(
          false,
          '',
          `services whose sockets lie there can be used, read-only or not: ${list(view.elsewhere.map((step) => view.at(step)))}`,
        )
      const keyring = view.first('newKeyring')
      say(keyring, "a session keyring without the caller's keys", "the caller's session keyring")
      say(keyring?.optional, 'no key can be used: the filter refuses keyctl(2) and its kin')
      say(view.makes('uts'), 'its own host name', `${view.notOwn('uts')} host name`)
      say(
        view.makes('cgroup') || view.first('enterGroup')?.namespace,
        'its own view of cgroups',
        `${view.notOwn('cgroup')} cgroup names`,
      )
    },
  ],
  [
    'kernel',
    (view, say) => {
      say(
        view.filter,
        `a filter of system calls: ${view.filter?.what}`,
        'no filter: every system call of an unprivileged process can be made, and its bugs be tried',
      )
      const proc =
        view.all('mount').filter(({ type }) => type === 'proc').length +
        view.all('bind').filter(({ source }) => source === '/proc').length
      const guards = view.all('guard')
      for (const guard of guards) {
        const where = place(guard.place.path)
        const forAll = guard.worldReadable.length + guard.eachCpu.length
        const all = `${guard.readonly.length} paths read-only and ${guard.masked.length + forAll} covered in ${where}`
        if (guard.when === 'refuseOwner') say(true, `a caller who is root is refused: ${where} is not covered`)
        else
          say(
            true,
            guard.when === 'always'
              ? all
              : `${forAll} paths covered in ${where}; for a caller who is root, ${all}; for others, file modes are the rest of the wall`,
          )
      }
      const subset = view.all('mount').some(({ options }) => options.some(([key]) => key === 'subset'))
      if (proc > 0 && guards.every(({ place: { path } }) => path.startsWith('sys')) && !subset)
        say(false, '', "/proc is not covered: a caller who is root gives the payload the host's settings")
      say(
        view.first('limitUserns') ?? view.all('innerUser').find(({ last }) => last),
        'no further user namespace can be made',
        view.lets('unshare', CLONE.NEWUSER) || view.lets('clone', CLONE.NEWUSER)
          ? 'user namespaces can be made inside, and with them privilege over new namespaces (disableUserns)'
          : undefined,
      )
      const core = view.all('rlimit').find(({ name }) => name === 'core')
      const keepsCore = !view.lets('setrlimit', rlimits.core) && !view.lets('prlimit64', 0, rlimits.core, 1n << 40n)
      say(
        core?.soft === 1n && core.hard === 1n && keepsCore,
        'a crash runs no handler that kernel.core_pattern pipes to',
        "a crash may run the host's handler (kernel.core_pattern), with the payload's memory for input",
      )
      if (core?.ifAllowed)
        say(
          false,
          '',
          "where the caller's own hard limit of core is 0, the handler is run all the same: 1 would be a higher one",
        )
      say(
        false,
        '',
        'a handler that listens on a socket (kernel.core_pattern begins with @, Linux 6.16) is asked, whatever the limit',
      )
      say(false, '', "the kernel itself is shared: its own faults, and a processor's side channels, are not walled off")
    },
  ],
  [
    'privileges',
    (view, say) => {
      const { kept } = view
      const over = view.rootMode ? 'over the host' : 'over its own namespaces'
      const bounding = view.first('capabilities')?.bounding
      say(
        kept?.length === 0,
        `no capability in any set${bounding ? ', nor in the bounding set' : ''}`,
        `capabilities ${over}: ${kept?.join(', ') ?? "the caller's own"}`,
      )
      say(
        view.first('noNewPrivs'),
        'no_new_privs: setuid programs and file capabilities give nothing',
        'setuid programs gain privileges',
      )
      say(view.first('secureBits'), 'uid 0 means no privilege, locked')
      say(
        !view.rootMode,
        'its own user namespace: no privilege outside',
        "no user namespace: ids and privileges are the host's (root mode)",
      )
      const identity = view.first('identity')
      if (view.rootMode)
        say(
          identity !== undefined && identity.uid !== 0,
          `it is uid ${identity?.uid}`,
          "it owns what the host's root owns, as far as it is shown",
        )
      say(identity?.dropGroups, 'no supplementary groups')
      if (!identity?.dropGroups)
        say(false, '', `supplementary groups of a caller other than root stay, and open what is shown to them`)
      if (!view.rootMode) say(false, '', "outside, it is the caller: what is shown, it may do as the caller's uid")
      const writable = view.shown.filter(({ flags }) => !flags.readonly).map((step) => view.at(step))
      if (writable.length === 0) return
      say(false, '', 'outside, a file that it made setuid where it may write gives its uid to any user who runs it')
      if (!view.rootMode || kept === undefined) return
      for (const { needs, makes } of asRootOutside)
        if (needs.every((name) => kept.includes(name)))
          say(
            false,
            '',
            `with ${needs.join(' and ')} it makes ${makes} in ${list(writable)}: a user who can run or open it outside is root`,
          )
    },
  ],
  [
    'terminal',
    (view, say) => {
      const stands = view.first('session') !== undefined
      say(stands, "a session of its own: it cannot type into the caller's terminal (TIOCSTI)")
      if (!stands) {
        say(false, '', "the caller's session: it takes the terminal's foreground, and signals of its keys reach both")
        say(
          !view.lets('ioctl', 0, TIOC.STI) && !view.lets('ioctl', 0, TIOC.LINUX),
          'the filter keeps it from typing into the terminal (TIOCSTI)',
          'it may type into the terminal (TIOCSTI)',
        )
        say(
          !view.lets('setpriority', PRIO.PGRP, 0),
          "the filter keeps it from changing the priority of the caller's process group",
          "it may change the priority of the caller's process group, the shell among it",
        )
        if (view.all('mount').some(({ type, flags }) => type === 'proc' && !flags.readonly))
          say(false, '', "it may change the share of the caller's session (/proc/self/autogroup)")
      }
      say(
        !view.lets('ioctl', 0, TIOC.EXCL),
        'a terminal that it is given can be used when it has ended (TIOCEXCL, TCXONC)',
        'a terminal that it is given may be left so that no process can open it or nothing is shown (TIOCEXCL, TCXONC)',
      )
      say(false, '', 'of a terminal that it is given it reads what is typed, and changes modes and size')
      say(false, '', 'what it writes to a terminal, the terminal obeys (escape sequences): use a pipe')
    },
  ],
  [
    'resources',
    (view, say, { limits = [] }) => {
      for (const { name, value, by } of limits)
        say(by !== 'none', `${name} ${value}, held by ${by}`, `nothing here holds it to ${name}`)
      for (const { what } of view.all('rlimit')) say(true, `${what}, for each process`)
      const isHeld = (name: string) => limits.some((limit) => limit.name === name && limit.by !== 'none')
      say(
        !view.lets('io_setup'),
        'no AIO: its events are one number for the whole machine (fs.aio-max-nr)',
        'it may use up the AIO events of the whole machine (fs.aio-max-nr)',
      )
      say(
        false,
        '',
        "no limit here holds what the kernel counts for a user as a whole, the caller's programs included: inotify, queued signals, pipe buffers, descriptors in flight; nor pseudo-terminals, counted for the machine",
      )
      const endlessly = starvingLimits.filter((name) => !isHeld(name)).map((name) => limitTable[name].starves)
      if (endlessly.length > 0) say(false, '', `no limit on ${either(endlessly)}: it may starve the host`)
      const endless = view
        .all('mount')
        .filter(({ type, options }) => type === 'tmpfs' && !options.some(([key]) => key === 'size'))
      if (endless.length > 0)
        say(false, '', `up to half of the memory each: ${list(endless.map((step) => place(step.place.path)))} (size)`)
      if (view.all('bind').some(({ flags }) => !flags.readonly && flags.nodev))
        say(false, '', 'no limit on disk where it may write')
    },
  ],
  [
    'descriptors and environment',
    (view, say) => {
      const { environment } = view.plan
      const keep = view.first('closeFds')?.keep.filter((fd) => fd > 2 && !view.own.includes(fd))
      say(
        keep,
        `descriptors are closed, but for the standard streams${keep?.length ? ` and ${keep.join(', ')}` : ''}`,
        'inherited descriptors stay open',
      )
      say(view.first('refuseFolders'), 'no standard stream is a directory')
      say(
        view.first('landlock')?.files,
        `${view.landlock}: a file that is open cannot be opened again for more; a pipe or memfd can`,
        'what is open for reading may be opened again for writing, as file modes allow',
      )
      say(
        false,
        '',
        "the standard streams are the caller's open files: it moves their places, and empties those that are open to write (lseek, ftruncate)",
      )
      const names = environment.inherit === true ? undefined : environment.inherit
      say(
        names,
        `of the caller's environment: ${names?.length ? list(names) : 'nothing'}`,
        "the caller's whole environment, and what is secret in it",
      )
      say(view.first('chdir') ?? view.first('chdirBack'), 'its own working directory', "the caller's working directory")
    },
  ],
]

/** One row for each kind of attack. */
export function security(plan: Plan, beside: Beside = {}): SecurityRow[] {
  const view = new View(plan)
  return rows.map(([attack, judge]) => {
    const stands: string[] = []
    const open: string[] = []
    judge(
      view,
      (condition, wall, gap) => {
        if (condition) stands.push(wall)
        else if (gap !== undefined) open.push(gap)
      },
      beside,
    )
    return { attack, stands, open }
  })
}
