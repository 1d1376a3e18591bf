/**
 * The outside of a sandbox's network: it answers what comes to the sockets that wait inside. It knows by the address that a program
 * connected to which name it asked for, decides, and connects to the real host. Nothing else leads out of the sandbox, so that no
 * program has to be told of it, and none gets past it.
 */
import type { Socket as Datagrams } from 'node:dgram'
import type { Server } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { NetworkSocket } from '../policy/networkSockets.js'
import { type FakeAddresses, fixedNames } from '../policy/networkAddresses.js'
import { readsRequests } from '../policy/networkSecrets.js'
import { type Destination, noPort, type Protocol, type Wanted } from '../policy/networkRules.js'
import { Decider } from './decider.js'
import { DnsServer } from './dnsServer.js'
import { defaultLimits, defaultTimes, type GatewayOptions } from './gatewayOptions.js'
import { NetworkMeter } from './meter.js'
import { NameTable } from './nameTable.js'
import { EventLog, type NetworkSummary } from './networkEvents.js'
import type { Inspector } from './inspector.js'
import { LoopbackProxy } from './loopbackProxy.js'
import { RequestRules } from './requestRules.js'
import { Resolver } from './resolver.js'
import { type NetworkRules, RuleBook } from './ruleBook.js'
import { TcpRelay } from './tcpRelay.js'
import { UdpRelay } from './udpRelay.js'

/** Connections to the DNS server at a time. */
const dnsConnections = 64

export class Gateway {
  readonly #book: RuleBook
  readonly #table: NameTable
  readonly #log: EventLog
  readonly #dns: DnsServer
  readonly #dnsSockets: (Server | Datagrams)[] = []
  readonly #tcp: TcpRelay
  readonly #udp: UdpRelay
  readonly #proxy: LoopbackProxy
  #ended = false

  /** Certificates, as PEM, that programs have to trust; undefined: no TLS is opened. */
  readonly authorities: string | undefined

  /** What reads requests, and signs certificates, is loaded only for rules about them. */
  static async make(rules: NetworkRules, options: GatewayOptions = {}): Promise<Gateway> {
    return new Gateway(rules, options, readsRequests(options) ? (await import('./inspector.js')).Inspector : undefined)
  }

  /** @param inspector what reads requests, of a policy that has rules about them */
  constructor(rules: NetworkRules, options: GatewayOptions = {}, inspector?: typeof Inspector) {
    const limits = { ...defaultLimits, ...options.limits }
    const times = { ...defaultTimes, ...options.times }
    this.#book = new RuleBook(rules)
    this.#table = new NameTable(fixedNames(rules.allow))
    this.#log = new EventLog(options.onEvent)
    const resolver = new Resolver({ resolve: options.resolve })
    const parts = { book: this.#book, table: this.#table, resolver, log: this.#log }
    const decider = new Decider(parts, options)
    const meter: NetworkMeter = new NetworkMeter(limits, () => this.#end(() => true, meter.reason))
    const requests = inspector && new RequestRules(options, this.#log)
    const reader = requests && new inspector(requests, meter, options.authorities)
    this.authorities = options.inspect === undefined ? undefined : reader?.certificates
    const relay = { decider, log: this.#log, meter, limits, times, inspector: reader }
    this.#dns = new DnsServer(decider, { perSecond: limits.questions, connections: dnsConnections })
    this.#tcp = new TcpRelay(relay)
    this.#udp = new UdpRelay(relay)
    this.#proxy = new LoopbackProxy({ relay: this.#tcp, decider, meter, rules: requests })
  }

  /** A socket that waits inside, at this place. */
  take(place: NetworkSocket, socket: Server | Datagrams): void {
    if (place.protocol === 'unix') {
      this.#tcp.take(socket as Server, { protocol: 'unix', path: place.path, port: noPort })
      return
    }
    const { protocol, role, address, port } = place
    if (role === 'dns') this.#takeDns(protocol, socket)
    else if (role === 'proxy') this.#proxy.take(socket as Server)
    else if (protocol === 'tcp') this.#tcp.take(socket as Server)
    else this.#udp.take({ address, port }, socket as Datagrams)
  }

  /** From now on these may be reached too, also if they were denied before. */
  allow(destinations: readonly Destination[]): void {
    this.#book.allow(destinations)
    this.#udp.reconsider()
  }

  /** From now on these may not be reached; connections to them are reset. */
  deny(destinations: readonly Destination[]): void {
    this.#book.deny(destinations)
    this.#end((wanted) => this.#book.ruling(wanted).is === 'denied', 'a rule denies it')
  }

  /** The addresses that a name has inside, from now on; undefined: there are too many names. */
  addressesOf(name: string): FakeAddresses | undefined {
    return this.#table.fix(name)
  }

  /** What was refused until now, and what went through. */
  summary(): NetworkSummary {
    return this.#log.summary()
  }

  /** What programs that have ended have sent goes out, as far as that takes at most so many milliseconds. */
  async drained(most: number): Promise<void> {
    const end = performance.now() + most
    // What came before their end is accepted by then.
    for (let turn = 0; turn < 2; turn++) await setImmediate()
    while (!(this.#tcp.isOut && this.#udp.isOut) && performance.now() < end) await setTimeout(1)
  }

  /** Ends all connections, and takes no more. */
  close(): void {
    if (this.#ended) return
    this.#ended = true
    for (const socket of this.#dnsSockets) socket.close()
    this.#dns.close()
    this.#proxy.close()
    this.#tcp.close()
    this.#udp.close()
  }

  #takeDns(protocol: Protocol, socket: Server | Datagrams): void {
    if (this.#ended) {
      socket.close()
      return
    }
    socket.unref()
    socket.on('error', () => {})
    this.#dnsSockets.push(socket)
    if (protocol === 'tcp') this.#dns.takeTcp(socket as Server)
    else this.#dns.takeUdp(socket as Datagrams)
  }

  #end(isOver: (wanted: Wanted) => boolean, reason: string): void {
    this.#tcp.end(isOver, reason)
    this.#udp.end(isOver, reason)
  }
}
