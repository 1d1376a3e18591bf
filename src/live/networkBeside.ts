/**
 * The outside of a sandbox's network. Inside there are only sockets that wait; this process gets them from the vial (launcher/listenCode.ts), and
 * connects to what the policy lists. What comes to be there later it gets from a process that enters (networkListener.ts).
 */
import type { ChildProcess } from 'node:child_process'
import type { Socket as Datagrams } from 'node:dgram'
import type { Server, Socket } from 'node:net'
import { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { statOf } from '../cgroup/processStat.js'
import type { Gateway } from '../network/gateway.js'
import type { NetworkSummary } from '../network/networkEvents.js'
import { Publisher } from '../network/publisher.js'
import { handsOutUser, listening, type Plan } from '../plan/plan.js'
import { parseAddress } from '../policy/ipAddress.js'
import type { Destination } from '../policy/networkRules.js'
import type { CheckedNetwork } from '../policy/networkSchema.js'
import { opensTls, valued } from '../policy/networkSecrets.js'
import {
  atAny,
  destinationSockets,
  direct,
  isAtAny,
  mostSockets,
  type NetworkSocket,
  socketKey,
} from '../policy/networkSockets.js'
import type { CheckedPolicy } from '../policy/schema.js'
import type { Beside } from '../run/beside.js'
import { HostError } from '../text/error.js'
import type { NetworkControl } from './boxNetwork.js'
import { openHostSocket } from './hostSocket.js'
import { insideIdentity } from './insideIdentity.js'
import { ended, NetworkListener, networkArguments } from './networkListener.js'
import { madeOf } from './pipeServer.js'
import { refuseWritable, writableOutside } from './writableOutside.js'

/** Milliseconds that what programs sent last has to go out when they have ended. */
const patience = 1000

/** Milliseconds that the way to a unix socket may take: it may lead through a filesystem that does not answer. */
const mostWalk = 5000
/** Milliseconds until a server is asked again whose queue is full. */
const nextTry = 20

const loopback = ['127.0.0.1', '::1'].map((text) => parseAddress(text)!)

export class NetworkBeside implements Beside, NetworkControl {
  /** Loaded while the vial starts: most sandboxes need none. What comes meanwhile waits in its socket. */
  readonly #gateway: Promise<Gateway>
  readonly #sockets: readonly NetworkSocket[]
  /** Those that are there, by their keys. */
  readonly #taken = new Map<string, { readonly socket: NetworkSocket; readonly made: Server | Datagrams }>()
  /** All that the vial opens are there. Changes wait for it: what is added may be in the place of what the vial is about to hand over. */
  readonly #opened: Promise<void>
  #isOpened: () => void = () => {}
  #isOver: (why: HostError) => void = () => {}
  readonly #hasProxy: boolean
  readonly #writable: readonly string[]
  readonly descriptors: Beside['descriptors']
  /** What makes sockets in its network, among its mounts, and on the host. */
  readonly #listener: NetworkListener
  readonly #inside: NetworkListener
  readonly #host = new NetworkListener({ place: 'host', args: () => [], patience: mostWalk })
  readonly #publisher: Publisher
  #monitor: readonly string[] = []
  #isClosed = false
  #fail: (error: Error) => void = () => {}
  /** Changes are made one behind the other. */
  #changing: Promise<unknown> = Promise.resolve()

  /**
   * @param plan of the same policy
   * @throws {HostError} when a secret has no value, or a unix socket lies where the payload may write
   */
  constructor({ allow = [], deny = [], publish = [], proxy, ...rest }: CheckedNetwork, plan: Plan) {
    this.#writable = writableOutside(plan)
    refuseWritable(allow, this.#writable)
    const options = { ...rest, secrets: valued(rest.secrets) }
    this.descriptors = { network: ['ipc'], ...(opensTls(rest) ? { authorities: ['pipe'] } : {}) }
    this.#hasProxy = proxy !== undefined
    const ownUser = handsOutUser(plan)
    this.#sockets = listening(plan)!.sockets
    this.#opened = new Promise((resolve, reject) => {
      this.#isOpened = resolve
      this.#isOver = reject
    })
    this.#opened.catch(() => {})
    this.#listener = new NetworkListener({ place: 'network', args: () => networkArguments(this.#monitor, ownUser) })
    this.#inside = new NetworkListener({ place: insideIdentity(plan), args: () => this.#monitor, patience: mostWalk })
    this.#publisher = new Publisher(publish, {
      connect: (inside) => (typeof inside === 'number' ? this.#connect(inside) : this.#connectPath(inside)),
      listenAt: (path) => openHostSocket(this.#host, path),
      fail: (error) => this.#fail(error),
    })
    // It has made all that there will be.
    void this.#publisher.listening.then(() => this.#host.close())
    this.#gateway = import('../network/gateway.js').then(({ Gateway }) => Gateway.make({ allow, deny }, options))
  }

  /** Each published port listens, or one cannot, and the sandbox ends. */
  get listening(): Promise<unknown> {
    return this.#publisher.listening
  }

  get ports(): readonly number[] {
    return this.#publisher.ports
  }

  get paths(): readonly string[] {
    return this.#publisher.paths
  }

  /**
   * All that the policy lists can be reached, and {@link listening}.
   * @throws {HostError} when the sandbox has ended
   */
  async opened(): Promise<void> {
    await Promise.all([this.#opened, this.#publisher.listening])
  }

  /** Takes what the vial opens. */
  attach(child: ChildProcess, fail: (error: Error) => void): void {
    const { pid } = child
    this.#fail = fail
    if (pid === undefined) return
    this.#monitor = [`/proc/${pid}`, statOf(pid)?.start ?? '']
    let awaited = this.#sockets.length
    child.on('message', async (index, handle) => {
      if (handle !== undefined) {
        const made = madeOf(handle) as Server | Datagrams
        const socket = this.#sockets[index as number]!
        const goOn = holding(made, socket)
        this.#take(await this.#gateway, socket, made)
        goOn()
      }
      if (--awaited === 0) this.#isOpened()
    })
    if (awaited === 0) this.#isOpened()
    this.#gateway.then(({ authorities }) => {
      if (authorities === undefined) return
      const pipe = writeTo(child, authorities)
      // All files are made before there are sockets. A root that has none for these does not read them.
      const over = () => void pipe?.destroy()
      this.#opened.then(over, over)
    }, fail)
    // The sandbox itself keeps this process as long as it lives.
    child.channel?.unref()
  }

  /**
   * From now on these may be reached too. What is to listen listens before.
   * @throws {HostError} when the sandbox has ended
   */
  allow(destinations: readonly Destination[]): Promise<void> {
    return this.#change(async (gateway) => {
      refuseWritable(destinations, this.#writable)
      const wanted = destinationSockets(direct(destinations, this.#hasProxy), (name) => {
        const addresses = gateway.addressesOf(name)
        if (addresses === undefined) throw new HostError('too many names have an address in the sandbox')
        return addresses
      })
      const missing = wanted.filter((socket) => !this.#isTaken(socket))
      if (this.#taken.size + missing.length > mostSockets)
        throw new HostError(
          `too many destinations: each port of one takes a socket or two, and there are at most ${mostSockets}`,
        )
      for (const socket of missing) await this.#open(gateway, socket)
      gateway.allow(destinations)
    })
  }

  /** From now on these may not be reached; connections to them are reset. */
  deny(destinations: readonly Destination[]): Promise<void> {
    return this.#change(async (gateway) => gateway.deny(destinations))
  }

  /** What was refused until now, and what went through. */
  async summary(): Promise<NetworkSummary> {
    return (await this.#gateway).summary()
  }

  async drained(): Promise<void> {
    await (await this.#gateway).drained(patience)
  }

  /** Ends all connections. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#isOver(ended())
    this.#publisher.close()
    for (const listener of [this.#listener, this.#inside, this.#host]) listener.close()
    this.#gateway.then(
      (gateway) => gateway.close(),
      () => {},
    )
  }

  async #change(action: (gateway: Gateway) => Promise<void>): Promise<void> {
    const before = this.#changing
    const changed = before.then(async () => {
      await this.#opened
      return action(await this.#gateway)
    })
    this.#changing = changed.catch(() => {})
    return changed
  }

  #take(gateway: Gateway, socket: NetworkSocket, made: Server | Datagrams): void {
    this.#taken.set(socketKey(socket), { socket, made })
    gateway.take(socket, made)
  }

  #isTaken(socket: NetworkSocket): boolean {
    return this.#taken.has(socketKey(socket)) || this.#taken.has(socketKey(atAny(socket)))
  }

  async #open(gateway: Gateway, socket: NetworkSocket): Promise<void> {
    // One at any address takes the place of those at one: bind(2) has no two of them at a port.
    if (isAtAny(socket))
      for (const [key, one] of [...this.#taken])
        if (socketKey(atAny(one.socket)) === socketKey(socket)) {
          one.made.close()
          this.#taken.delete(key)
        }
    try {
      this.#take(gateway, socket, (await this.#make(socket)) as Server | Datagrams)
    } catch (error) {
      // A kernel without IPv6.
      if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error
    }
  }

  /** A path is one of the payload's: what is made there the payload could make, and may be found through its links. */
  async #make(socket: NetworkSocket): ReturnType<NetworkListener['make']> {
    if (socket.protocol !== 'unix') return this.#listener.make({ ...socket, connects: false })
    const { path } = socket
    try {
      return await this.#inside.make({ protocol: 'unix', path, mode: 0o666, connects: false })
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const hint =
        'while it runs, a socket can be made only where its payload could make one: list it in the policy, or choose another path inside'
      throw new HostError(`cannot make the socket ${path} in the sandbox: ${code ?? (error as Error).message}`, {
        code,
        hint,
      })
    }
  }

  /** To a server inside, whichever loopback address it listens at. */
  async #connect(port: number): Promise<Socket> {
    const [v4, v6] = loopback.map((address) => ({ protocol: 'tcp' as const, address, port, connects: true }))
    try {
      return (await this.#listener.make(v4!)) as Socket
    } catch {
      return (await this.#listener.make(v6!)) as Socket
    }
  }

  /** To a server's unix socket inside, with the rights that a payload has. A server that is busy accepts in a while. */
  async #connectPath(path: string): Promise<Socket> {
    const end = performance.now() + mostWalk
    for (;;)
      try {
        return (await this.#inside.make({ protocol: 'unix', path, mode: 0, connects: true })) as Socket
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > end) throw error
        await setTimeout(nextTry, undefined, { ref: false })
      }
  }
}

/** By the one pipe of Node.js's own that the vial has: those of payloads are made by the monitor. */
function writeTo(child: ChildProcess, authorities: string): Writable | undefined {
  const pipe = child.stdio.find((stream) => stream instanceof Writable)
  pipe?.on('error', () => {}).end(authorities)
  return pipe
}

/** Node.js reads a socket from when it has it: what comes before there is a gateway is kept for that. Gives what hands it on. */
function holding(made: Server | Datagrams, { protocol, role }: NetworkSocket): () => void {
  const event = protocol === 'udp' ? 'message' : 'connection'
  const early: unknown[][] = []
  const hold = (...given: unknown[]) => void early.push(given)
  // A connection that is accepted meanwhile is not read either.
  if (role !== 'dns') Object.assign(made, { pauseOnConnect: true, allowHalfOpen: true })
  made.on(event, hold)
  return () => {
    made.off(event, hold)
    for (const given of early) made.emit(event, ...given)
  }
}

/** For each start of a sandbox of a policy; undefined: its network is not by name. */
export type NetworkBesideOf = (policy: CheckedPolicy, plan: Plan) => (() => NetworkBeside) | undefined

export const networkBeside: NetworkBesideOf = ({ network }, plan) =>
  typeof network === 'object' ? () => new NetworkBeside(network, plan) : undefined
