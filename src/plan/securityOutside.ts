/** What lies outside and may be reached: files, devices, processes, the network, other programs' objects, the kernel. */
import { CLONE, F, IP, IPPROTO, PRIO, SIOC } from '../kernel/flags.js'
import { rlimits } from '../kernel/rlimits.js'
import { type Judgement, list, place, type View } from './securityView.js'

export const outside: readonly Judgement[] = [
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
        view.plan.start.init === 'reaper',
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
        `its own network namespace: ${devices(view)}`,
        `${view.notOwn('net')} network, with all that listens on its loopback`,
      )
      if (view.first('privateNetwork') !== undefined)
        say(
          false,
          '',
          "pasta connects it to whatever the host reaches but its loopback: the local network, a cloud's metadata service, the internet",
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
]

function devices(view: View): string {
  if (view.first('privateNetwork') !== undefined) return "not the host's devices, nor its loopback"
  return view.first('loopback') === undefined ? 'no device is up' : 'only a loopback'
}
