/** What a pool needs of the sandboxes that it keeps ready: pool.ts. */
import type { RunResult } from '../run/sandbox.js'
import type { InlineFile, PoolRunOptions } from './poolOptions.js'

/** What a slot is to run. */
export interface PooledCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly options: Omit<PoolRunOptions, 'files'>
  readonly files: readonly InlineFile[]
}

/** A sandbox that was built and waits. It runs one command, and is then ended. */
export interface Slot {
  /** The command's own result, as soon as that has ended. */
  run(command: PooledCommand): Promise<RunResult<string | Buffer>>
  /** Ends all in it, and waits for that. Never rejects. */
  close(): Promise<void>
  /** Fulfilled when it has ended, by whatever. */
  readonly ended: Promise<unknown>
}

/** Makes slots of one policy. */
export interface SlotMaker {
  /** @throws {VialError} when it cannot be made; nothing is left then */
  make(): Promise<Slot>
  /** No more are made, and all have ended. */
  close(): Promise<void>
}
