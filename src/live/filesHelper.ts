/** The process that works on the files of a sandbox for this one (launcher/filer.ts): started, asked, and ended with the sandbox or when it is stuck. */
import type { ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import type { OpenVial } from '../cache/executable.js'
import { errnoMessage } from '../kernel/errno.js'
import { filer } from '../launcher/filer.js'
import {
  type FilesField,
  type FilesOperation,
  filesAnswer,
  filesRequest,
  numberOf,
  toEnd,
} from '../launcher/filesCall.js'
import { hints } from '../plan/hints.js'
import { key } from '../policy/keys.js'
import { hold, startError, startProcess } from '../run/startProcess.js'
import { HostError, OptionError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { words } from '../text/words.js'
import { targetOf } from './enterSandbox.js'
import { insideIdentity } from './insideIdentity.js'
import type { Inspected } from './inspectSandbox.js'
import { ownPrograms } from './ownPrograms.js'
import { Pieces } from './pieces.js'
import { ofKind } from './planSteps.js'
import { compiledAgain } from './sandboxPlan.js'

type Text = (typeof filesRequest.texts)[number]

export interface FilesRequest extends Partial<Readonly<Record<Text, string | Uint8Array>>> {
  readonly operation: FilesOperation
  readonly flags?: number
  readonly mode?: number
  readonly limit?: number
  readonly entries?: number
  readonly data?: Uint8Array
  /** In its place: so many bytes are sent by {@link FilesHelper.send}; Infinity: until {@link FilesHelper.finish}. */
  readonly follows?: number
}

/** A frame of an answer. */
export type OnFrame = (kind: number, content: Buffer) => void

/** What is asked for, for an error: "read /tmp/a". */
interface Asked {
  readonly what: string
  /** Milliseconds from when it comes first; Infinity: as long as it takes. */
  timeout: number
  readonly onFrame: OnFrame
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const hintsOf: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link, which is not followed; or it lies too deep, or behind links that lead in a circle',
  EINVAL: 'it is no regular file',
  ENXIO: 'it is no regular file',
  EFBIG: 'it holds more than "limit" allows',
  E2BIG: 'it has more entries than "entries" allows',
  EPERM: "the kernel is told something there, or it is not the payload's",
  EAGAIN: 'the payload changes it just now: try again',
  EROFS: 'the sandbox has it read-only',
}

/** What works on the files of one sandbox. */
export interface Helpers {
  /** For requests, one after another. */
  readonly shared: () => Promise<FilesHelper>
  /** For one stream, which closes it. */
  readonly own: () => Promise<FilesHelper>
}

export class FilesHelper {
  readonly #child: ChildProcess
  readonly #queue: Asked[] = []
  #timer: NodeJS.Timeout | undefined
  #over: Error | undefined

  /** @throws {HostError} when it cannot be started */
  constructor(sandbox: Inspected, open: () => OpenVial = () => openFiler(sandbox)) {
    try {
      const args = targetOf(sandbox.monitor)
      // A ^C of the terminal's is not meant for it: it has a session of its own.
      this.#child = startProcess(open, args, {
        stdio: ['pipe', 'pipe', 'ignore'],
        env: {},
        argv0: 'vial',
        detached: true,
      })
    } catch (error) {
      throw startError(error)
    }
    const answers = new Pieces(
      { size: filesAnswer.header, length: 4, most: Number.POSITIVE_INFINITY },
      (head, content) => this.#answered(head.readUInt32LE(0), content),
    )
    this.#child.stdout!.on('data', (bytes: Buffer) => answers.read(bytes))
    // What it says is said by its end.
    this.#child.stdin!.on('error', () => {})
    this.#child.once('error', (error) => this.#end(startError(error) as Error))
    this.#child.once('close', () => this.#end(new HostError('what works on the files of the sandbox was killed')))
    this.#keep(false)
  }

  /** Whether it takes no requests any more. */
  get isOver(): boolean {
    return this.#over !== undefined
  }

  request(what: string, request: FilesRequest, timeout: number, onFrame: OnFrame): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) {
        reject(this.#over)
        return
      }
      this.#queue.push({ what, timeout, onFrame, resolve, reject })
      if (this.#queue.length === 1) this.#await()
      const stdin = this.#child.stdin!
      stdin.write(encode(request))
      if (request.data !== undefined && request.data.length > 0) stdin.write(request.data)
    })
  }

  /** From now on what is asked first may take so many milliseconds; Infinity: as long as it takes. */
  allow(timeout: number): void {
    const [asked] = this.#queue
    if (asked === undefined || (asked.timeout === timeout && timeout === Number.POSITIVE_INFINITY)) return
    asked.timeout = timeout
    this.#await()
  }

  /** No more is read of its answers until {@link resume}. */
  pause(): void {
    this.#child.stdout!.pause()
    this.allow(Number.POSITIVE_INFINITY)
  }

  resume(timeout: number): void {
    if (!this.#child.stdout!.isPaused()) return
    this.#child.stdout!.resume()
    this.allow(timeout)
  }

  /** More of the data of what is asked: resolves when there is room for more. @throws {Error} when it is not taken, within so many milliseconds */
  send(data: Uint8Array, timeout: number): Promise<void> {
    this.allow(timeout)
    return new Promise((resolve, reject) => {
      this.#child.stdin!.write(data, (error) => {
        this.allow(Number.POSITIVE_INFINITY)
        if (error) reject(this.#over ?? error)
        else resolve()
      })
    })
  }

  /** There is no more data, and no more requests: the answer may take so many milliseconds. */
  finish(timeout: number): void {
    this.allow(timeout)
    this.#child.stdin!.end()
  }

  /** Ends it at once. */
  close(why: Error = new HostError('the sandbox has ended')): void {
    this.#end(why)
    this.#child.kill('SIGKILL')
  }

  /** The next answer is awaited. */
  #await(): void {
    clearTimeout(this.#timer)
    const [asked] = this.#queue
    this.#keep(asked !== undefined)
    if (asked === undefined || asked.timeout === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(
      () =>
        this.close(
          new HostError(printable(`cannot ${asked.what}: it took more than ${asked.timeout} ms`), {
            code: 'ETIMEDOUT',
          }),
        ),
      asked.timeout,
    )
  }

  /** Only while something is awaited does it keep this process from ending. */
  #keep(referenced: boolean): void {
    hold(referenced, [this.#child, this.#child.stdin as Socket, this.#child.stdout as unknown as Socket])
  }

  #answered(kind: number, content: Buffer): void {
    if (kind === filesAnswer.ready) return
    if (kind === filesAnswer.failed) {
      this.#end(failedStart(statusOf(content)))
      return
    }
    const [asked] = this.#queue
    if (asked !== undefined && kind !== filesAnswer.end) asked.onFrame(kind, content)
    if (asked === undefined || kind !== filesAnswer.end) return
    this.#queue.shift()
    this.#await()
    const status = statusOf(content)
    if (status === 0) asked.resolve()
    else asked.reject(errorOf(asked.what, status))
  }

  #end(error: Error): void {
    this.#over ??= error
    clearTimeout(this.#timer)
    this.#keep(false)
    for (const { reject } of this.#queue.splice(0)) reject(this.#over)
  }
}

/** An errno, or 0. */
export const statusOf = (content: Buffer): number => Number(-content.readBigInt64LE())

function errorOf(what: string, error: number): HostError {
  const code = getSystemErrorName(-error)
  return new HostError(printable(`cannot ${what}: ${errnoMessage(error)}`), { code, hint: hintsOf[code] })
}

function failedStart(error: number): HostError {
  const code = getSystemErrorName(-error)
  const known: Readonly<Record<string, string | undefined>> = hints.sandbox
  return new HostError(`cannot reach the files of the sandbox: ${errnoMessage(error)}`, { code, hint: known[code] })
}

function encode(request: FilesRequest): Buffer {
  const texts = filesRequest.texts.map((name) => {
    const text = request[name]
    return text === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from(text as string), Buffer.of(0)])
  })
  const header = Buffer.alloc(filesRequest.size)
  const put = (field: FilesField, value: number) =>
    header.writeBigUInt64LE(value === Number.POSITIVE_INFINITY ? toEnd : BigInt(value), filesRequest.offset(field))
  put('operation', numberOf(request.operation))
  put('flags', request.flags ?? 0)
  put('mode', request.mode ?? 0)
  put('limit', request.limit ?? 0)
  put('entries', request.entries ?? 0)
  put('data', request.follows ?? request.data?.length ?? 0)
  for (const [index, name] of filesRequest.texts.entries()) put(name, texts[index]!.length)
  return Buffer.concat([header, ...texts])
}

const openFilerOf = ownPrograms(filer)

/** @throws {OptionError} for a sandbox whose files are the host's */
function openFiler(sandbox: Inspected) {
  const { plan } = compiledAgain(sandbox)
  if (ofKind(plan.world.init, 'pivot').length === 0)
    throw new OptionError(
      words`the files of this sandbox are the host's: its mounts are not its own, ${key('namespaces.mount')}`,
    )
  return openFilerOf(insideIdentity(plan))()
}
