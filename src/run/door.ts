/** A way into a sandbox that runs, for commands with the streams that most have: faster than a start of their own. */
import type { Own } from '../policy/ownOptions.js'
import type { RunLimiter } from './enforcement.js'
import type { CommandOptions } from './runOptions.js'
import type { BoxProcess, ConnectedProcess } from './spawn.js'
import type { Receiver } from './streams.js'

export interface DoorCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly options: CommandOptions
  readonly limiter: RunLimiter | undefined
  /** What it has of its own, of a door that takes that. */
  readonly own?: Own
}

export interface CollectedCommand extends DoorCommand {
  /** Undefined: /dev/null. */
  readonly input: string | Uint8Array | undefined
  /** What gets standard output, and standard error. */
  readonly receivers: readonly [Receiver, Receiver]
}

/** Each gives undefined where the command has to be started as any other. */
export interface Door {
  /** It takes commands that have something of their own. */
  readonly takesOwn?: true
  /** Its output is collected. */
  collect(command: CollectedCommand): Pick<ConnectedProcess, 'kill' | 'result'> | undefined
  /** It has a pipe for each of its standard streams. */
  spawn(command: DoorCommand): BoxProcess | undefined
}
