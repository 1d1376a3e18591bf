/** The phases that make the world of a sandbox: namespaces, ids and names. The mounts are in filesystemSteps.ts. */
import { type NamespaceName, namespaceNames } from '../kernel/namespaces.js'
import { fewFiles, hints } from './hints.js'
import { oneToOne } from './ids.js'
import { isShared, type Making, when } from './making.js'
import type { Specification } from './specification.js'
import type { Step } from './step.js'

export const worldPhases = {
  processName: ({ start }) =>
    when(start.processName, (name) => ({
      do: 'processName',
      name,
      what: `be named ${name}`,
      why: 'a vial is executed by descriptor, and would be named after a number',
    })),

  callersCapabilities: ({ hardening: { capabilities } }) =>
    when(capabilities !== undefined && 'without' in capabilities.keep, () => ({
      do: 'callersCapabilities',
      what: 'look which capabilities the caller has',
      why: 'root gives no more inside',
    })),

  dropGroups: ({ ids }) =>
    when(ids.dropsGroups, () => ({
      do: 'dropGroups',
      what: 'give up supplementary groups, where the caller may',
      why: 'what they open is not for the payload; a caller other than root cannot drop them, setgroups(2)',
    })),

  joinUser: (specification) => joins(specification, (name) => name === 'user'),

  newUser: ({ namespaces: { user }, ids }) =>
    when(user.make !== 'no' && ids.mappedBy === 'monitor', () => ({
      do: 'newUser',
      map: ids.map,
      optional: user.make === 'ifPossible',
      what: 'make a user namespace',
      why: `the payload is ${ids.uid}:${ids.gid} inside, and has no privilege outside`,
      hints: ids.map.byHelper ? hints.helper : hints.userNamespace,
    })),

  newTime: ({ namespaces: { time, user }, clocks }) =>
    when(time.make !== 'no', () => ({
      do: 'newTime',
      ...clocks,
      what: 'make a time namespace',
      why: "uptime and the monotonic clock are the sandbox's own",
      hints: {
        ...(isShared(user) ? hints.rootMode : {}),
        ERANGE: 'an offset may not take a clock below zero, nor beyond 146 years: time_namespaces(7)',
      },
    })),

  // The mount namespace last: the paths of the others are looked up in the caller's.
  joinOthers: (specification) => [
    ...joins(
      specification,
      (name) =>
        name !== 'user' &&
        name !== 'mount' &&
        !(name === 'pid' && entersPids(specification)) &&
        !(name === 'cgroup' && joinsGroup(specification)),
    ),
    ...joins(specification, (name) => name === 'mount'),
  ],

  /** By one that stays outside of it: pid_namespaces(7), its children are in it. */
  joinPid: (specification) => joins(specification, (name) => name === 'pid' && entersPids(specification)),

  waitOutside: (specification) =>
    when(entersPids(specification) && specification.start.serves === undefined, () => ({
      do: 'waitOutside',
      what: 'start the command, and wait for it outside',
      why: 'it is reaped whichever process outside is killed; else the sandbox could not end',
      hints: hints.serve,
    })),

  serve: ({ start: { serves } }) =>
    when(serves?.ahead === false, () => ({
      do: 'serve',
      what: 'start a command',
      why: 'each that Node.js asks for is a child of what has entered once',
      hints: hints.serve,
    })),

  house: ({ start: { serves } }) =>
    when(serves?.ahead, () => ({
      do: 'house',
      what: 'start a sandbox',
      why: 'each waits for the command that Node.js will ask for',
      hints: hints.serve,
    })),

  takeCommand: ({ start: { serves } }) =>
    when(serves?.ahead, () => ({
      do: 'takeCommand',
      what: 'write the file',
      why: 'the command finds it; what the command is, Node.js says now',
    })),

  /**
   * Behind the cgroup itself. Where cgroup v2 is mounted with nsdelegate, the kernel moves no process into a namespace's groups from one that
   * is none of them, even where its caller holds both: cgroup_attach_permissions() in kernel/cgroup/cgroup.c.
   */
  joinGroups: (specification) => joins(specification, (name) => name === 'cgroup' && joinsGroup(specification)),

  /** Behind all that changes credentials, which clears it: PR_SET_PDEATHSIG(2const). */
  dieWithParent: ({ start }) =>
    when(start.dieWithParent, () => ({
      do: 'dieWithParent',
      what: 'tie the sandbox to the life of its parent',
      why: 'nothing is left running when the caller is gone',
    })),

  awaitRelease: ({ start: { announcement } }) =>
    when(announcement !== undefined, () => ({
      do: 'awaitRelease',
      what: 'wait for the monitor',
      why: 'it tells others about the sandbox first',
    })),

  handOut: ({ start: { living } }) =>
    when(living, ({ handedOut }) => ({
      do: 'handOut',
      namespaces: handedOut,
      what: 'hand the namespaces to the monitor',
      why: 'others of its user enter the sandbox by them',
      hints: { ENOENT: '/proc is not mounted here', EMFILE: 'a process may have too few files open: see ulimit -n' },
    })),

  findSandbox: ({ start: { enters } }) =>
    when(enters, (handles) => ({
      do: 'findSandbox',
      handles,
      what: 'find the sandbox',
      why: 'its monitor holds what it is entered by',
      hints: hints.sandbox,
    })),

  enterGroup({ limits, namespaces: { cgroup } }) {
    const own = cgroup.make !== 'no'
    return when(limits.group, (group) => ({
      do: 'enterGroup',
      group,
      namespace: own,
      what: 'enter the cgroup',
      why: own ? 'all that follows is limited, and sees no group but this' : 'all that follows is limited',
      hints: hints.group,
    }))
  },

  mapUser({ namespaces: { user }, ids: { map, mappedBy } }) {
    const [uid, gid] = [map.uids[0], map.gids[0]]
    return when(user.make !== 'no' && mappedBy === 'init', () => ({
      do: 'mapUser',
      map,
      what: `map ${uid?.outside}:${gid?.outside} to ${uid?.inside}:${gid?.inside}`,
      why: 'the payload has no privilege outside',
    }))
  },

  limitUsers: ({ hardening }) =>
    when(hardening.noMoreUsers === 'limit', () => ({
      do: 'limitUserns',
      what: 'forbid further user namespaces',
      why: 'no privilege over any namespace can be obtained inside',
      hints: {
        ENOENT: "the limit is in the host's /proc/sys/user, which is not there",
        EROFS: 'an outer container has made /proc/sys read-only',
      },
    })),

  openInner: ({ hardening }) =>
    when(hardening.noMoreUsers === 'inner', () => ({
      do: 'beforeInner',
      last: true,
      what: "open the host's /proc",
      why: 'the limit of user namespaces is written there',
    })),

  loopback: ({ namespaces: { net }, lateNetwork }) =>
    when(net.make !== 'no', () => ({
      do: 'loopback',
      enter: lateNetwork,
      what: 'bring the loopback device up',
      why: 'programs expect 127.0.0.1',
    })),

  privateNetwork: ({ privateNetwork }) =>
    when(privateNetwork, (chosen) => ({
      do: 'privateNetwork',
      ...chosen,
      what: 'connect a network of its own by pasta',
      why: "it stays beside the sandbox; programs reach what the host reaches, and not the host's loopback",
      instead: hints.pastaSays,
      hints: hints.pasta,
    })),

  listen: ({ network }) =>
    when(network, (listening) => ({
      do: 'listen',
      ...listening,
      what: 'open the sockets by which names are reached',
      why: 'Node.js accepts there, from outside, and connects to what the policy lists',
      hints: {
        EMFILE: fewFiles,
        ETOOMANYREFS: 'this user has too many files on their way between processes: see ulimit -n',
        EPIPE: 'Node.js has ended',
      },
    })),

  names: ({ hostname, domainname }) => [
    ...when(hostname, (name) => ({
      do: 'hostname',
      name,
      what: `set the host name ${name}`,
      why: "the host's own name is not shown",
    })),
    ...when(domainname, (name) => ({
      do: 'domainname',
      name,
      what: `set the domain name ${name}`,
      why: 'the policy names it',
    })),
  ],

  joinInner: ({ hardening }) =>
    when(hardening.innerUser, (from) => ({
      do: 'join',
      namespace: 'user',
      from,
      what: 'join the second user namespace',
      why: 'the payload is to be in it',
    })),

  innerUser: ({ hardening: { noMoreUsers }, ids: { uid, gid } }) =>
    when(noMoreUsers === 'inner', () => ({
      do: 'innerUser',
      map: oneToOne({ uid, gid }, { uid, gid }),
      last: true,
      what: 'enter a user namespace in which no other can be made',
      why: 'no privilege over any namespace can be obtained inside',
    })),

  assertNoUser: ({ hardening }) =>
    when(hardening.assertNoMoreUsers, () => ({
      do: 'assertNoUser',
      what: 'see that no user namespace can be made',
      why: 'it is asked for',
    })),
} satisfies Record<string, Making>

/** The step that clones init. */
export function cloneStep({ namespaces: chosen, ids, limits }: Specification): Step<'clone'> {
  const made = namespaceNames.filter((name) => {
    // In its own step: clone(2) makes none of time.
    if (name === 'time' || (name === 'user' && ids.mappedBy === 'monitor')) return false
    // That of one that enters a group is made there: its root is the group that its maker is in.
    if (name === 'cgroup' && limits.group !== undefined) return false
    return chosen[name].make !== 'no'
  })
  return {
    do: 'clone',
    namespaces: made,
    ifPossible: made.filter((name) => chosen[name].make === 'ifPossible'),
    what: made.length === 0 ? 'start a process' : `make the namespaces ${made.join(', ')}`,
    why: made.length === 0 ? 'it is in the namespaces that were joined' : 'each is new',
    hints: hints.namespaces,
  }
}

/** Whether the pid namespace is that of a sandbox that runs. */
const entersPids = ({ start }: Specification) => start.enters !== undefined

/** Of what enters a sandbox from a group outside of it. */
const joinsGroup = ({ start: { enters }, limits: { group } }: Specification): boolean =>
  enters !== undefined && group !== undefined

function joins({ namespaces: chosen }: Specification, which: (name: NamespaceName) => boolean): Step[] {
  return namespaceNames.filter(which).flatMap((name) =>
    when(chosen[name].join, (from) => ({
      do: 'join',
      namespace: name,
      from,
      what: `join the ${name} namespace ${from}`,
      why: 'the policy names it',
      hints: {
        EPERM: 'joining needs to be root in the user namespace that owns it',
        ENOENT: 'no such process or file',
        EINVAL: `it is no ${name} namespace, or the caller is in it already`,
      },
    })),
  )
}
