/** What holds this process's ends of a payload's pipes: streams of a caller, or memory that a whole run collects in. */
import type { Writable } from 'node:stream'
import { pipesOf, type Stdio } from './stdio.js'
import { type Collector, feed, OutputStream, PipeReader, pipeWriter, type Receiver, readPipe } from './streams.js'

export interface Connection {
  /** Resolves when no process has the other ends of what the payload writes. */
  ended(): Promise<unknown>
  /** Reads what was written until now, and closes our ends. */
  finish(): void
}

/**
 * Takes the pipes of a payload.
 * @param ends our ends by the payload's descriptors, which do not block; none when it could not be started
 * @param meter counts what goes to a receiver, where a limit is about it
 */
export type Connect = (
  ends: ReadonlyMap<number, number>,
  meter: (fd: number, receiver: Receiver) => Receiver,
) => Connection

/** The streams of a payload by its descriptors, which are there once `connect` was called. */
export class Streams {
  readonly inputs = new Map<number, Writable>()
  readonly outputs = new Map<number, OutputStream>()

  constructor(readonly stdio: Stdio) {}

  readonly connect: Connect = (ends, meter) => {
    for (const { fd, payload } of pipesOf(this.stdio)) {
      if (payload === 'reads') this.inputs.set(fd, pipeWriter(ends.get(fd)))
      else {
        const end = ends.get(fd)
        const open = end === undefined ? undefined : (receiver: Receiver) => readPipe(end, meter(fd, receiver))
        this.outputs.set(fd, new OutputStream(open))
      }
    }
    return {
      ended: () => this.#each((output) => output.ended()),
      finish: () => {
        for (const output of this.outputs.values()) output.finish()
        for (const input of this.inputs.values()) input.destroy()
      },
    }
  }

  /** One for each descriptor. */
  get all(): (Writable | OutputStream | null)[] {
    return this.stdio.map((_, fd) => this.inputs.get(fd) ?? this.outputs.get(fd) ?? null)
  }

  /** Resolves when all listeners have heard all. */
  heard(): Promise<unknown> {
    return this.#each((output) => output.heard())
  }

  #each(action: (output: OutputStream) => Promise<void>): Promise<unknown> {
    return Promise.all([...this.outputs.values()].map(action))
  }
}

/** Milliseconds after which a run's output is read as it comes. Most end earlier, and are read once. */
const unread = 3

/** @param kept what collects standard output and standard error */
export function collecting(input: string | Uint8Array | undefined, kept: readonly Collector[]): Connect {
  return (ends, meter) => {
    const stdin = ends.get(0)
    const fed = stdin === undefined ? undefined : feed(stdin, input!)
    const outputs = [...ends].filter(([fd]) => fd !== 0)
    const readers = outputs.map(([fd, end]) => new PipeReader(end, meter(fd, kept[fd - 1]!)))
    const timer = setTimeout(() => {
      for (const reader of readers) reader.start()
    }, unread)
    return {
      ended: () => Promise.all(readers.map((reader) => reader.ended())),
      finish() {
        clearTimeout(timer)
        for (const reader of readers) reader.finish()
        fed?.destroy()
      },
    }
  }
}
