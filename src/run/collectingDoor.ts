/** A way into a sandbox that runs, for commands whose output is collected: faster than a start of their own. */
import type { RunLimiter } from './enforcement.js'
import type { CommandOptions } from './runOptions.js'
import type { ConnectedProcess } from './spawn.js'
import type { Receiver } from './streams.js'

export interface CollectedCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly options: CommandOptions
  /** Undefined: /dev/null. */
  readonly input: string | Uint8Array | undefined
  /** What gets standard output, and standard error. */
  readonly receivers: readonly [Receiver, Receiver]
  readonly limiter: RunLimiter | undefined
}

export interface CollectingDoor {
  /** Undefined: the command has to be started as any other. */
  start(command: CollectedCommand): Pick<ConnectedProcess, 'kill' | 'result'> | undefined
}
