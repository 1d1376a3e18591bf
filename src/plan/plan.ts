/** Specification → plan: the steps that make a sandbox, each with its reason, in the order of a face. */
import type { Face, Order, Origin } from './face.js'
import { filesystemSteps } from './filesystemSteps.js'
import type { Announcement, Environment, Living, Manner, Serving } from './manner.js'
import { type Phase, phaseNames, phases } from './phases.js'
import type { Specification } from './specification.js'
import { executeStep } from './startPhases.js'
import type { Handle, Step } from './step.js'
import { cloneStep } from './worldPhases.js'

/**
 * A sandbox is a world, which is made once; entrants, the processes that come to be in it, which are all hardened alike; and the start of
 * the payload, which differs from one run to the next.
 */
export interface Plan {
  readonly world: World
  readonly entrant: Entrant
  readonly start: Start
}

export interface World {
  /** Steps of the monitor, before it clones init. */
  readonly monitor: readonly Step[]
  readonly clone: Step<'clone'>
  /** Steps of init: its groups, mounts and names. */
  readonly init: readonly Step[]
}

/**
 * What hardens a process that enters the world, in this order. One that joins it from outside does all of it; in init, which is in it
 * by birth, the parts are apart.
 */
export interface Entrant {
  /** A child inherits it: what makes entrants does it once for all. */
  readonly once: readonly Step[]
  /** Each process does it itself; but here init does it for both itself and the payload, such as a session that both are to be in. */
  readonly shared: readonly Step[]
  /** Each process does it itself, and last. */
  readonly each: readonly Step[]
}

export interface Start {
  /** Steps of the monitor: which descriptors the payload gets. */
  readonly streams: readonly Step[]
  /** Steps of the monitor: its timers and its watch over limits. They run from here. */
  readonly watch: readonly Step[]
  /** Steps of init: what it waits for and holds, and the working directory. */
  readonly prepare: readonly Step[]
  readonly execute: Step<'execute'>
  readonly environment: Environment
  /**
   * The working directory is the vial's first argument, and the payload's environment is the vial's own, whole: who starts it has
   * made it of `environment`.
   */
  readonly perRun?: true
  readonly argv0: string | undefined
  /**
   * Whether monitor and init execute memory that cannot be changed, see assembly/sealed.ts: the payload may be able to look at
   * one of them, or at a vial that it executes itself.
   */
  readonly sealed: boolean
  /** Whether init stays as a reaper, or becomes the payload. */
  readonly init: 'reaper' | 'payload'
  /** Whether the payload is in the caller's session, and so gets the terminal's signals by itself. */
  readonly sharesSession: boolean
  /** Status records go to this descriptor instead of sentences on standard error. */
  readonly statusFd: number | undefined
  readonly manner: Manner
  readonly announcement: Announcement | undefined
  /** Descriptors that init holds open as long as it lives. */
  readonly holdFds: readonly number[]
  /** Others may enter the sandbox while it runs. */
  readonly living?: Living
  /** It enters a sandbox that runs: which of its monitor's descriptors, whose place in /proc and start time are the vial's first arguments. */
  readonly enters?: readonly Handle[]
  /** It enters the sandbox for many commands. */
  readonly serves?: Serving
  /** The payload has a terminal of its own, and the monitor hands on between that and the streams that the vial was started with. */
  readonly terminal?: true
}

/** Whether the sandbox has a pid namespace of its own. */
export const ownPids = ({ world }: Plan): boolean => world.clone.namespaces.includes('pid')

/** Whether it makes sandboxes that wait, each for one command. */
export const isHouse = ({ start }: Plan): boolean => start.serves?.ahead ?? false

/** Of a living sandbox: whether its user namespace is its own, or joined, and what enters it has to join that. */
export const handsOutUser = ({ start }: Plan): boolean => start.living?.handedOut.includes('user') ?? false

/** The step that opens the sockets by which names are reached, where there are any. */
export const listening = ({ world }: Plan): Step<'listen'> | undefined =>
  world.init.find((step) => step.do === 'listen')

/** The step that connects a private network, where there is one. */
export const connecting = ({ world }: Plan): Step<'privateNetwork'> | undefined =>
  world.init.find((step) => step.do === 'privateNetwork')

/** Whether the monitor takes its signals one by one and hands them on. */
export const relays = ({ start }: Plan): boolean => start.manner.monitor === 'relays'

/** The same steps by the process that does them, without the one that clones init. */
export function stepsOf({ world, entrant, start }: Plan): Readonly<Record<'monitor' | 'init' | 'payload', Step[]>> {
  // What enters finds what payloads have planted: it follows their links with no descriptor of vial's open, behind tieInit.
  const follows = start.enters !== undefined
  return {
    monitor: [...start.streams, ...world.monitor, ...start.watch],
    init: [...world.init, ...entrant.once, ...(follows ? [] : start.prepare), ...entrant.shared],
    payload: start.living?.holds ? [] : [...(follows ? start.prepare : []), ...entrant.each, start.execute],
  }
}

/** @throws {PolicyError} when the specification contradicts itself: a source does not lie beneath the directory that it is said to lie beneath. */
export function planOf(specification: Specification, { order, reword }: Face): Plan {
  const say = <One extends Step>(step: One, origin: Origin): One => (reword === undefined ? step : reword(step, origin))
  const world: Step[] = []
  const stepsIn = (phase: Phase): readonly Step[] =>
    phase === 'mounts'
      ? filesystemSteps(specification, (step, entry) => say(step, { phase, entry }))
      : phases[phase](specification, world).map((step) => say(step, { phase }))
  const part = (name: keyof Order): Step[] => order[name].flatMap(stepsIn)
  const ordered = new Set<string>(Object.values(order).flat())
  for (const phase of phaseNames)
    if (!ordered.has(phase) && stepsIn(phase).length > 0)
      throw new Error(`this face has no place for the phase ${phase}`)
  world.push(...part('init'))
  const { hardening, start } = specification
  const {
    perRun,
    argv0,
    sealed,
    init,
    statusFd,
    manner,
    announcement,
    holdFds,
    environment,
    living,
    enters,
    serves,
    terminal,
  } = start
  return {
    world: { monitor: part('monitor'), clone: say(cloneStep(specification), { phase: 'clone' }), init: world },
    entrant: { once: part('once'), shared: part('shared'), each: part('each') },
    start: {
      streams: part('streams'),
      watch: part('watch'),
      prepare: part('prepare'),
      execute: say(executeStep, { phase: 'execute' }),
      environment,
      ...(perRun ? { perRun } : {}),
      argv0,
      sealed,
      init,
      sharesSession: hardening.session === 'callers',
      statusFd,
      manner,
      announcement,
      holdFds,
      ...(living === undefined ? {} : { living }),
      ...(enters === undefined ? {} : { enters }),
      ...(serves === undefined ? {} : { serves }),
      ...(terminal ? { terminal } : {}),
    },
  }
}
