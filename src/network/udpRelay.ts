/**
 * Datagrams of a sandbox. A conversation is what one port of the sandbox and one destination say to each other: it has a socket of its own
 * outside, which is connected, so that no other host is heard; it ends when neither has said anything for a while.
 */
import { createSocket, type Socket } from 'node:dgram'
import { addressText, type IpAddress } from '../policy/ipAddress.js'
import type { Wanted } from '../policy/networkRules.js'
import { dialFault } from './dial.js'
import { overBy } from './meter.js'
import type { RelayParts } from './tcpRelay.js'
import { unanswerable } from './unanswerable.js'

/** Of a conversation that is being decided: datagrams, and their bytes. */
const mostWaiting = 16
const mostWaitingBytes = 2 ** 17
/** Bytes that wait for room in a socket; more are lost, as datagrams may be. */
const mostQueued = 2 ** 20

interface Conversation {
  readonly wanted: Wanted
  readonly waiting: Buffer[]
  outside?: Socket
  /** Once there is a socket that is connected. */
  send?: (bytes: Buffer) => void
  /** Nothing of it is sent. It ends at its time whatever is said, so that a program that goes on asking is decided on again. */
  refused?: true
  timer?: NodeJS.Timeout
  readonly close: (reason: string) => void
}

/** Where datagrams come from, and the answers go to. */
interface Sender {
  readonly inside: Socket
  readonly address: string
  readonly port: number
}

export class UdpRelay {
  readonly #parts: RelayParts
  /** By who talks to whom; those that were silent longest come first. */
  readonly #conversations = new Map<string, Conversation>()
  readonly #sockets: Socket[] = []
  #ended = false

  constructor(parts: RelayParts) {
    this.#parts = parts
  }

  /** @param row where the socket waits */
  take(row: { readonly address: IpAddress; readonly port: number }, inside: Socket): void {
    if (this.#ended) {
      inside.close()
      return
    }
    inside.unref()
    inside.on('error', () => {})
    const place = `${addressText(row.address)} ${row.port}`
    inside.on('message', (bytes, { address, port }) => {
      if (port === unanswerable) return
      const key = `${place} ${address} ${port}`
      const known = this.#conversations.get(key)
      if (known !== undefined) this.#say(key, known, bytes)
      else this.#open(key, row, { inside, address, port }, bytes)
    })
    this.#sockets.push(inside)
  }

  /** Ends those that `isOver` names. */
  end(isOver: (wanted: Wanted) => boolean, reason: string): void {
    for (const { wanted, close } of [...this.#conversations.values()]) if (isOver(wanted)) close(reason)
  }

  /** Those that were refused are decided again when they say something. */
  reconsider(): void {
    for (const { refused, close } of [...this.#conversations.values()]) if (refused) close('')
  }

  /** Whether no datagram waits for a decision. */
  get isOut(): boolean {
    return [...this.#conversations.values()].every(({ waiting, refused }) => refused || waiting.length === 0)
  }

  close(): void {
    this.#ended = true
    for (const { close } of [...this.#conversations.values()]) close('the sandbox has ended')
    for (const socket of this.#sockets) socket.close()
  }

  #say(key: string, conversation: Conversation, bytes: Buffer): void {
    const { send, refused, waiting } = conversation
    if (refused) return
    this.#heard(key, conversation)
    if (send !== undefined) send(bytes)
    else if (waiting.length < mostWaiting && lengthOf(waiting) < mostWaitingBytes) waiting.push(Buffer.from(bytes))
  }

  /** It is the last that was silent, and is so for a while. */
  #heard(key: string, conversation: Conversation): void {
    this.#conversations.delete(key)
    this.#conversations.set(key, conversation)
    conversation.timer?.refresh()
  }

  #open(key: string, row: { readonly address: IpAddress; readonly port: number }, sender: Sender, first: Buffer): void {
    const { decider, log, meter, limits, times } = this.#parts
    const wanted = decider.wantedAt('udp', row.address, row.port)
    if (wanted === undefined) return
    const [oldest] = this.#conversations.values()
    if (this.#conversations.size >= limits.conversations) oldest!.close('there are too many others')
    const started = performance.now()
    const count = { in: 0, out: 0 }
    let rule: string | undefined
    let real: string | undefined
    const conversation: Conversation = {
      wanted,
      waiting: [Buffer.from(first)],
      close: (reason) => {
        clearTimeout(conversation.timer)
        if (this.#conversations.get(key) === conversation) this.#conversations.delete(key)
        if (conversation.outside === undefined) return
        conversation.outside.close()
        delete conversation.outside
        delete conversation.send
        conversation.refused = true
        const ms = performance.now() - started
        log.end(wanted, 'allowed', { reason, rule: rule!, real: real!, bytesIn: count.in, bytesOut: count.out, ms })
      },
    }
    const connect = ([address, ...others]: readonly IpAddress[]) => {
      const outside = createSocket(address!.family === 4 ? 'udp4' : 'udp6').unref()
      conversation.outside = outside
      real = addressText(address!)
      outside.on('error', (error) => {
        // No way leads there, as where this host has no IPv6.
        if (conversation.outside === outside && conversation.send === undefined && others.length > 0) {
          outside.close()
          connect(others)
          // As of a port where no program waits: this one hears nothing.
        } else conversation.close(dialFault(error))
      })
      outside.on('message', (bytes) => {
        this.#heard(key, conversation)
        count.in += bytes.length
        const { inside, address: to, port } = sender
        if (meter.spend(bytes.length) === 0 && inside.getSendQueueSize() < mostQueued)
          inside.send(Buffer.from(bytes), port, to, () => {})
      })
      // By an event: to what connect() calls back it tells errors too, and a socket that is not connected throws where it is to send.
      outside.once('connect', () => {
        if (conversation.outside === undefined) return
        conversation.send = (bytes) => {
          if (meter.spend(bytes.length) > 0 || outside.getSendQueueSize() >= mostQueued) return
          count.out += bytes.length
          outside.send(bytes, () => {})
        }
        for (const bytes of conversation.waiting.splice(0)) conversation.send?.(bytes)
      })
      outside.connect(wanted.port, real)
    }
    conversation.timer = setTimeout(() => conversation.close('silent'), times.silent).unref()
    this.#conversations.set(key, conversation)
    const decided = meter.isOver ? Promise.resolve(overBy(meter)) : decider.decide(wanted)
    void decided.then((decision) => {
      if (this.#ended || this.#conversations.get(key) !== conversation) return
      if (decision.verdict !== 'allowed') {
        conversation.refused = true
        conversation.waiting.length = 0
        log.decision(wanted, decision.verdict, decision)
        return
      }
      rule = decision.rule
      log.decision(wanted, 'allowed', { reason: 'a rule allows it', rule })
      connect(decision.addresses)
    })
  }
}

const lengthOf = (all: readonly Buffer[]): number => all.reduce((sum, { length }) => sum + length, 0)
