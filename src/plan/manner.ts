/** How a vial behaves towards its caller, and what the payload gets of the caller's variables. */
import type { NamespaceName } from '../kernel/namespaces.js'

/** Which of the caller's variables the payload gets. */
export interface Environment {
  /** Names and values. */
  readonly set: readonly (readonly [string, string])[]
  /** Patterns with `*`; `true`: all. */
  readonly inherit: readonly string[] | true
  /** Not handed on, whatever `inherit` says. */
  readonly unset: readonly string[]
  /** PWD is the working directory. */
  readonly pwd: boolean
}

/** How a vial behaves towards its caller. */
export interface Manner {
  /** Begins every error sentence. */
  readonly prefix: string
  readonly exit: { readonly sandbox: number; readonly cannotExecute: number; readonly notFound: number }
  /**
   * `relays`: the monitor takes its signals one by one, hands them on, and ends when init has ended, which ends with the payload.
   * `listens`: its signals do to it what they do to any process; init tells it how the payload ended, and stays itself as long as any
   * process is left in the sandbox.
   */
  readonly monitor: 'relays' | 'listens'
  /** Init dies with the monitor, and everything with init. */
  readonly tied: boolean
  /** In a pid namespace of others, init adopts what the payload leaves behind. */
  readonly adopts: boolean
  /** Modes of what is made only to be mounted on. */
  readonly mountPointMode: number
  /** Gives a file that is no program to sh(1), as execvp(3) does. */
  readonly runsScripts: boolean
}

/** A sandbox that others enter while it runs: handles.ts. */
export interface Living {
  /** Those of the namespaces that are its own, or that it joined, which init hands out. */
  readonly handedOut: readonly NamespaceName[]
  /** The monitor makes the network namespace, and holds it by itself. */
  readonly ownNet: boolean
  /** By which a process enters its cgroup. */
  readonly group: readonly number[]
  /** Init waits without a payload, until SIGTERM, for others to enter. */
  readonly holds: boolean
}

/** What enters a living sandbox once, for all commands that it is asked for; or what makes a sandbox for each of them. */
export interface Serving {
  /** The descriptor of the socket by which it is asked. */
  readonly control: number
  /** The commands may be of another user. */
  readonly foreign: boolean
  /** Each has a sandbox of its own, which is made ahead. */
  readonly ahead: boolean
}

/** What the monitor tells others about init, as JSON. */
export interface Announcement {
  readonly infoFd: number | undefined
  readonly statusFd: number | undefined
  /** After the announcement, wait for this descriptor: another process writes the id maps. */
  readonly blockFd: number | undefined
}
