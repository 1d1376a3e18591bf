/** What happens to the files of a directory of a sandbox, as inotify(7) tells it. */
import type { Readable } from 'node:stream'
import { IN } from '../kernel/flags.js'
import { filesAnswer } from '../launcher/filesCall.js'
import { framesOf, type Streamed } from './fileStreams.js'

/**
 * What has happened to a name: it was made, or moved to here; its content or what is known of it was changed; it was removed, or moved away.
 * `lost`: more has happened than the kernel kept; what is there has to be looked at again.
 */
export type FileChangeKind = 'created' | 'changed' | 'removed' | 'lost'

/** What has happened to a file in a watched directory. */
export interface FileChange {
  /** What has happened. */
  readonly kind: FileChangeKind
  /** Its name in the directory; `''`: the directory itself, or of what was lost. Bytes that are no UTF-8 are U+FFFD. */
  readonly name: string
}

const kinds: readonly (readonly [bits: number, kind: FileChangeKind])[] = [
  [IN.Q_OVERFLOW, 'lost'],
  [IN.CREATE | IN.MOVED_TO, 'created'],
  [IN.DELETE | IN.MOVED_FROM | IN.DELETE_SELF | IN.MOVE_SELF, 'removed'],
  [IN.MODIFY | IN.ATTRIB, 'changed'],
]
/** Of a struct inotify_event, before its name; where its mask is, and the length of the name. */
const [headSize, maskAt, lengthAt] = [16, 4, 12]

function changesOf(content: Buffer): (FileChange | 'over')[] {
  const changes: (FileChange | 'over')[] = []
  for (let at = 0; at < content.length; ) {
    const [mask, length] = [content.readUInt32LE(at + maskAt), content.readUInt32LE(at + lengthAt)]
    const [name = ''] = content.toString('utf8', at + headSize, at + headSize + length).split('\0')
    const [, kind] = kinds.find(([bits]) => (mask & bits) !== 0) ?? []
    if (kind !== undefined) changes.push({ kind, name })
    // The directory was removed, or its filesystem is gone.
    if ((mask & IN.IGNORED) !== 0) changes.push('over')
    at += headSize + length
  }
  return changes
}

/** What happens in a watched directory, in its order: `for await (const { kind, name } of watch)`. It ends when the directory is removed. */
export class FileWatch implements AsyncIterable<FileChange>, AsyncDisposable {
  readonly #frames: Readable
  readonly #only: string | undefined

  /** @internal */
  constructor(frames: Readable, only: string | undefined) {
    this.#frames = frames
    this.#only = only
  }

  /**
   * Each change, once: there is one reader.
   * @throws {HostError} when the sandbox ends
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<FileChange, void> {
    for await (const content of this.#frames)
      for (const change of changesOf(content)) {
        if (change === 'over') return
        if (this.#only === undefined || change.name === this.#only || change.kind === 'lost') yield change
      }
  }

  /** Ends it. */
  close(): void {
    this.#frames.destroy()
  }

  /** The same. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }
}

/** Resolves when it has begun. `only`: of this name alone. */
export async function watchFiles(asked: Streamed, only?: string, signal?: AbortSignal): Promise<FileWatch> {
  let began = () => {}
  const begun = new Promise<void>((resolve) => {
    began = resolve
  })
  // As long as nothing happens, no time runs.
  const frames = framesOf(
    { ...asked, timeout: Number.POSITIVE_INFINITY },
    (kind, content) => {
      if (kind !== filesAnswer.data) return
      if (content.length > 0) return Buffer.from(content)
      began()
      return
    },
    { objectMode: true, signal },
  )
  frames.read(0)
  await new Promise<void>((resolve, reject) => {
    frames.once('error', reject)
    begun.then(() => {
      frames.off('error', reject)
      resolve()
    })
  })
  return new FileWatch(frames, only)
}
