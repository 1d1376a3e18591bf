/** The processes that make sockets for this one: in the network of a sandbox that runs, among its mounts, or on the host, launcher/listener.ts. */
import type { ChildProcess } from 'node:child_process'
import type { Socket as Datagrams } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { failureSize, type ListenerPlace, listener, ownUser, unbegun } from '../launcher/listener.js'
import { rowOf, type SocketRequest } from '../launcher/socketRows.js'
import { HostError } from '../text/error.js'
import { startProcess } from '../run/startProcess.js'
import { ownPrograms } from './ownPrograms.js'
import { madeOf } from './pipeServer.js'

type Made = Server | Socket | Datagrams

/** Of each kind of request. */
type WithoutNumber<Request> = Request extends unknown ? Omit<Request, 'number'> : never

interface Asked {
  readonly resolve: (made: Made) => void
  readonly reject: (error: Error) => void
}

export interface ListenerTarget {
  readonly place: ListenerPlace
  /** Where a living sandbox is found: launcher/entering.ts. */
  readonly args: () => readonly string[]
  /** Milliseconds that a socket may take; default: any time. Where one takes longer, those that are asked for meanwhile fail as well. */
  readonly patience?: number
}

const openListener = ownPrograms(listener)

/** The arguments of one in the network of a sandbox. */
export const networkArguments = (monitor: readonly string[], isOwnUser: boolean): readonly string[] => [
  ...monitor,
  isOwnUser ? ownUser : '0',
]

/** It is started when it is first asked, and ends with {@link close} or with this process. */
export class NetworkListener {
  readonly #target: ListenerTarget
  readonly #asked = new Map<number, Asked>()
  #child: ChildProcess | undefined
  #number = 0
  #closed = false

  constructor(target: ListenerTarget) {
    this.#target = target
  }

  /** @throws {HostError} with the errno's name as its code, when it cannot be made */
  async make(request: WithoutNumber<SocketRequest>): Promise<Made> {
    if (this.#closed) throw ended()
    this.#child ??= this.#start()
    const child = this.#child
    const number = this.#number++
    const made = new Promise<Made>((resolve, reject) => this.#asked.set(number, { resolve, reject }))
    child.stdin!.write(rowOf({ ...request, number }))
    const { patience } = this.#target
    if (patience === undefined) return made
    const late = setTimeout(() => this.#leave(child), patience).unref()
    return made.finally(() => clearTimeout(late))
  }

  close(): void {
    this.#closed = true
    this.#child?.kill('SIGKILL')
    this.#fail(ended())
  }

  /** Something holds it up: the next who asks has another. */
  #leave(child: ChildProcess): void {
    if (this.#child !== child) return
    this.#child = undefined
    child.kill('SIGKILL')
    this.#fail(new HostError('a socket of the sandbox could not be reached in time', { code: 'ETIMEDOUT' }))
  }

  #start(): ChildProcess {
    const { place, args } = this.#target
    const child = startProcess(openListener(place), args(), {
      stdio: ['pipe', 'pipe', 'ignore', 'ipc'],
      env: {},
      argv0: 'vial',
    })
    // What is written to one that has ended fails: its end is told by itself.
    child.stdin!.on('error', () => {})
    child.on('message', (number, made) => {
      const asked = this.#take(number as number)
      if (asked === undefined) discard(madeOf(made))
      else asked.resolve(madeOf(made))
    })
    let rest = Buffer.alloc(0)
    child.stdout!.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      for (; rest.length >= failureSize; rest = rest.subarray(failureSize))
        this.#failed(rest.readUInt32LE(0), rest.readUInt32LE(4))
    })
    const gone = () => {
      if (this.#child !== child) return
      this.#child = undefined
      this.#fail(ended())
    }
    child.on('error', gone)
    child.once('exit', gone)
    // The sandbox keeps this process, not what serves it.
    for (const one of [child, child.stdin, child.stdout, child.channel] as { unref?(): void }[]) one?.unref?.()
    return child
  }

  #failed(number: number, code: number): void {
    const error = new HostError(`cannot make a socket in the sandbox: ${errnoMessage(code)}`, { code: errnoName(code) })
    if (number === unbegun) this.#fail(error)
    else this.#take(number)?.reject(error)
  }

  #take(number: number): Asked | undefined {
    const asked = this.#asked.get(number)
    this.#asked.delete(number)
    return asked
  }

  #fail(error: Error): void {
    const all = [...this.#asked.values()]
    this.#asked.clear()
    for (const { reject } of all) reject(error)
  }
}

/** One that came when it was not waited for any more. */
const discard = (made: Made) => ('destroy' in made ? made.destroy() : made.close())

export const ended = () => new HostError('the sandbox has ended, or is about to')
