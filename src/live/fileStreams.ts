/**
 * Files of a sandbox as streams. Each has a process of its own at work (launcher/filer.ts), so that a reader who stops, or a writer who waits,
 * holds up no other request. As long as the other side of the stream makes it wait, its time does not run.
 */
import { Readable, Writable } from 'node:stream'
import { filesAnswer } from '../launcher/filesCall.js'
import type { FilesHelper, FilesRequest } from './filesHelper.js'

/** What is asked, in words of an error and as a request, and how many milliseconds may pass without a byte. */
export interface Streamed {
  readonly start: () => Promise<FilesHelper>
  readonly what: string
  readonly request: FilesRequest
  readonly timeout: number
}

/** What comes of a request, as `pick` has it of each frame; undefined: nothing of it. The process ends with the stream. */
export function framesOf<One>(
  { start, what, request, timeout }: Streamed,
  pick: (kind: number, content: Buffer) => One | undefined,
  options: { readonly objectMode: boolean; readonly signal?: AbortSignal | undefined },
): Readable {
  let helper: FilesHelper | undefined
  const stream = new Readable({
    ...options,
    construct(callback) {
      start().then((started) => {
        helper = started
        const onFrame = (kind: number, content: Buffer) => {
          const one = pick(kind, content)
          if (one === undefined || stream.push(one)) started.allow(timeout)
          else started.pause()
        }
        started.request(what, request, timeout, onFrame).then(
          () => stream.push(null),
          (error) => stream.destroy(error),
        )
        callback()
      }, callback)
    },
    read() {
      helper?.resume(timeout)
    },
    destroy(error, callback) {
      helper?.close()
      callback(error)
    },
  })
  return stream
}

/** What is in a file. */
export const fileReader = (asked: Streamed, signal?: AbortSignal): Readable =>
  framesOf(asked, (kind, content) => (kind === filesAnswer.data ? Buffer.from(content) : undefined), {
    objectMode: false,
    signal,
  })

/** Writes a file: what comes until the stream is ended. */
export function fileWriter({ start, what, request, timeout }: Streamed, signal?: AbortSignal): Writable {
  let helper: FilesHelper | undefined
  let done: Promise<void> | undefined
  const stream = new Writable({
    ...(signal === undefined ? {} : { signal }),
    construct(callback) {
      start().then((started) => {
        helper = started
        done = started.request(
          what,
          { ...request, follows: Number.POSITIVE_INFINITY },
          Number.POSITIVE_INFINITY,
          () => {},
        )
        done.catch((error) => stream.destroy(error))
        callback()
      }, callback)
    },
    write(chunk: Buffer, _encoding, callback) {
      // What failed is said by the answer.
      helper!.send(chunk, timeout).then(
        () => callback(),
        () => done!.then(() => callback(), callback),
      )
    },
    final(callback) {
      helper!.finish(timeout)
      done!.then(() => callback(), callback)
    },
    destroy(error, callback) {
      helper?.close()
      callback(error)
    },
  })
  return stream
}
