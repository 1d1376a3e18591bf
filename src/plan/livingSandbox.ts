/** What a living sandbox hands out, and what enters it by that: another plan, whose world is there already. */
import { type NamespaceName, namespaceNames } from '../kernel/namespaces.js'
import { faultAt, setting } from '../policy/keys.js'
import { PolicyError } from '../text/error.js'
import { words } from '../text/words.js'
import { firstHandle, groupHandle, namespaceHandles } from './handles.js'
import type { Living } from './manner.js'
import type { Specification } from './specification.js'
import type { Handle } from './step.js'

/** Those that an entrant has to enter: the others are the host's. */
const entered = ({ namespaces }: Specification): readonly NamespaceName[] =>
  namespaceNames.filter((name) => namespaces[name].make !== 'no' || namespaces[name].join !== undefined)

/**
 * What enters becomes a domain of Landlock's own, so that no command could send another one signals: where the pid namespace holds these in
 * already, Landlock leaves them alone. kill(2) with 0 asks no pid namespace: a session of others is not enough. Without mounts of its own they
 * are part of what the domain is made of, and it has to stay: the host's /proc shows processes to trace.
 *
 * Abstract sockets it always holds in, although commands then do not reach each other's: a network namespace does not hold in a socket that was
 * made in another one and handed to a command.
 */
export function shared(specification: Specification): Specification {
  const { hardening, filesystem } = specification
  if (filesystem === undefined || hardening.session !== 'new') return specification
  return { ...specification, hardening: { ...hardening, scopes: ['abstractSockets'] } }
}

/**
 * The same sandbox, which others may enter.
 * @throws {PolicyError} when it is in the host's pid namespace: its monitor, by which it is entered, hides from the payload there; when
 * its payload is to be pid 1; or when it is given so many descriptors that they reach those of the handles.
 */
export function enterable(specification: Specification, { holds }: Pick<Living, 'holds'>): Specification {
  const { namespaces, lateNetwork, limits, start, descriptors } = specification
  if (namespaces.pid.make === 'no')
    throw new PolicyError([
      faultAt('namespaces.pid', words`a sandbox that others enter has its own: ${setting('namespaces.pid', 'new')}`),
    ])
  // Of a payload that is pid 1 no process tells that it was executed.
  if (start.init === 'payload')
    throw new PolicyError([
      faultAt('init', words`what others enter has a pid 1 that stays beside its command: ${setting('init', 'reaper')}`),
    ])
  if (descriptors.keep?.some((fd) => fd >= firstHandle))
    throw new PolicyError([faultAt('filesystem', `descriptors from ${firstHandle} on are the sandbox's own`)])
  const ownNet = namespaces.net.make !== 'no' && lateNetwork
  const living: Living = {
    handedOut: entered(specification).filter((name) => name !== 'net' || !ownNet),
    ownNet,
    group: limits.group?.fds ?? [],
    holds,
  }
  // What waits for others has no time of its own.
  return {
    ...shared(specification),
    limits: holds ? { ...limits, wallTime: undefined } : limits,
    // Until it is let live: of a starter that is killed before, nothing may be left.
    start: { ...start, dieWithParent: true, sealed: true, living },
  }
}

/** What enters it once, for many commands: `control` is the socket by which it is asked for them. */
export const serving = (specification: Specification, control: number): Specification =>
  asked(entering(specification), control, false)

/** What makes many of it, each for one command that it is asked for. */
export function housing(specification: Specification, control: number): Specification {
  const { start, limits } = specification
  // What waits has no time of its own; that of its command Node.js counts.
  const own = {
    limits: { ...limits, wallTime: undefined },
    start: { ...start, dieWithParent: true },
    lateNetwork: false,
  }
  return asked({ ...specification, ...own }, control, true)
}

function asked(specification: Specification, control: number, ahead: boolean): Specification {
  const { descriptors, start } = specification
  return {
    ...specification,
    descriptors: { ...descriptors, keep: [...new Set([...descriptors.keep!, control])].sort((a, b) => a - b) },
    start: { ...start, serves: { control, foreign: specification.ids.handsOver, ahead } },
  }
}

/** What enters such a sandbox, in place of its namespaces, names and mounts. What hardens it is that of the sandbox. */
export function entering(specification: Specification): Specification {
  const names = entered(specification)
  const { limits, hardening, start, ids, descriptors } = specification
  const { streams, passed } = descriptors
  // None of what the sandbox itself was started with.
  const keep = [...streams, ...passed, ...(start.statusFd === undefined ? [] : [start.statusFd])]
  const fds = (limits.group?.fds ?? []).map((_, index) => groupHandle(index))
  const choices = namespaceNames.map((name) => [
    name,
    names.includes(name) ? { make: 'no', join: namespaceHandles[name] } : { make: 'no' },
  ])
  return {
    ...specification,
    namespaces: Object.fromEntries(choices) as Specification['namespaces'],
    lateNetwork: false,
    ids: { ...ids, dropsGroups: false },
    network: undefined,
    privateNetwork: undefined,
    hostname: undefined,
    domainname: undefined,
    filesystem: undefined,
    hardening: { ...hardening, noMoreUsers: undefined },
    descriptors: { ...descriptors, keep: keep.sort((a, b) => a - b), listening: [] },
    limits: {
      ...limits,
      cpuTime: undefined,
      memory: undefined,
      group: limits.group === undefined ? undefined : { way: limits.group.way, fds },
    },
    start: {
      ...start,
      log: undefined,
      perRun: true,
      directory: 'named',
      init: 'payload',
      sealed: true,
      enters: [
        ...names.map((name): Handle => ({ fd: namespaceHandles[name], writes: false })),
        // In v1 a file that is written, in v2 a directory.
        ...fds.map((fd): Handle => ({ fd, writes: limits.group?.way === 'move' })),
      ],
    },
  }
}
