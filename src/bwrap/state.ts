/** What the options of a command line change. */
import { emptyRequest } from './bwrapRequest.js'

/** What bwrap would say, without its name, and exit with status 1. */
export class BwrapError extends Error {}

/** What is read of a command line, option by option. */
export class State {
  readonly request = emptyRequest()
  /** Of --seccomp: the last counts. */
  seccompFd: number | undefined
  /** What --perms, --size and --overlay-src say about the next operation. */
  perms: number | undefined
  size: number | undefined
  layers: string[] = []
  readonly warnings: string[] = []
  readonly seen = new Set<string>()
  inArgsFile = false
}
