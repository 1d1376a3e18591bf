/** The process that makes sockets in the network of a sandbox that runs: launcher/listener.ts. */
import type { ChildProcess } from 'node:child_process'
import type { Socket as Datagrams } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { errnoMessage, errnoName } from '../kernel/errno.js'
import { failureSize, listener, ownUser, unbegun } from '../launcher/listener.js'
import { rowOf, type SocketRequest } from '../launcher/socketRows.js'
import { HostError } from '../text/error.js'
import { startProcess } from '../run/startProcess.js'
import { ownProgram } from './ownPrograms.js'

type Made = Server | Socket | Datagrams

interface Asked {
  readonly resolve: (made: Made) => void
  readonly reject: (error: Error) => void
}

/** Where a living sandbox is found. */
export interface ListenerTarget {
  /** The first arguments of what enters: launcher/entering.ts. */
  readonly monitor: readonly string[]
  /** Whether its user namespace is its own. */
  readonly ownUser: boolean
}

const openListener = ownProgram(listener)

/** It is started when it is first asked, and ends with {@link close} or with this process. */
export class NetworkListener {
  readonly #target: () => ListenerTarget
  readonly #asked = new Map<number, Asked>()
  #child: ChildProcess | undefined
  #number = 0
  #closed = false

  constructor(target: () => ListenerTarget) {
    this.#target = target
  }

  /** @throws {HostError} with the errno's name as its code, when it cannot be made */
  async make(request: Omit<SocketRequest, 'number'>): Promise<Made> {
    if (this.#closed) throw ended()
    this.#child ??= this.#start()
    const child = this.#child
    const number = this.#number++
    const made = new Promise<Made>((resolve, reject) => this.#asked.set(number, { resolve, reject }))
    child.stdin!.write(rowOf({ ...request, number }))
    return made
  }

  close(): void {
    this.#closed = true
    this.#child?.kill('SIGKILL')
    this.#fail(ended())
  }

  #start(): ChildProcess {
    const target = this.#target()
    const child = startProcess(openListener, [...target.monitor, target.ownUser ? ownUser : '0'], {
      stdio: ['pipe', 'pipe', 'ignore', 'ipc'],
      env: {},
      argv0: 'vial',
    })
    // What is written to one that has ended fails: its end is told by itself.
    child.stdin!.on('error', () => {})
    child.on('message', (number, made) => {
      const asked = this.#take(number as number)
      if (asked === undefined) discard(made as unknown as Made)
      else asked.resolve(made as unknown as Made)
    })
    let rest = Buffer.alloc(0)
    child.stdout!.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes])
      for (; rest.length >= failureSize; rest = rest.subarray(failureSize))
        this.#failed(rest.readUInt32LE(0), rest.readUInt32LE(4))
    })
    const gone = () => {
      if (this.#child === child) this.#child = undefined
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
