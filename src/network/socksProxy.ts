/** SOCKS 5, RFC 1928, as far as a sandbox needs it: CONNECT without a password, by name or address. */
import type { Socket } from 'node:net'
import { addressText } from '../policy/ipAddress.js'
import { HostError } from '../text/error.js'
import { type ProxyParts, wantedOf } from './proxyParts.js'
import type { Unreached } from './reached.js'

export const socksVersion = 5
/** RFC 1928, 3. */
const methods = { none: 0, noneOfThem: 0xff }
/** RFC 1928, 4 and 5: what comes before an address. */
const kinds = { v4: 1, name: 3, v6: 4 }
const connectCommand = 1
/** RFC 1928, 6. */
const replies = { done: 0, failure: 1, notAllowed: 2, unreachable: 4, refused: 5, noSuchCommand: 7, noSuchKind: 8 }

export async function serveSocks(client: Socket, { relay, decider }: ProxyParts): Promise<void> {
  const reader = new Reader(client)
  const [, count] = await reader.take(2)
  const offered = await reader.take(count!)
  if (!offered.includes(methods.none)) {
    client.end(Uint8Array.of(socksVersion, methods.noneOfThem))
    return
  }
  client.write(Uint8Array.of(socksVersion, methods.none))
  const [version, command, , kind] = await reader.take(4)
  const host = await hostOf(reader, kind!)
  if (version !== socksVersion || command !== connectCommand || host === undefined) {
    client.end(reply(host === undefined ? replies.noSuchKind : replies.noSuchCommand))
    return
  }
  const wanted = wantedOf(decider, host, (await reader.take(2)).readUInt16BE())
  if (wanted === undefined) {
    client.end(reply(replies.notAllowed))
    return
  }
  reader.giveBack()
  const pumps = relay.pumps()
  const reached = await relay.reach(wanted, client, pumps.back.onread)
  if (reached.verdict !== 'allowed') {
    client.end(reply(codeOf(reached)))
    return
  }
  client.setTimeout(0)
  client.write(reply(replies.done))
  relay.tunnel(client, reached, pumps)
}

function codeOf({ verdict, reason }: Unreached): number {
  if (verdict === 'refused') return replies.notAllowed
  return reason === 'ECONNREFUSED' ? replies.refused : replies.unreachable
}

/** RFC 1928, 6: the address that it is connected from is of no use to a client. */
const reply = (code: number) => Uint8Array.of(socksVersion, code, 0, kinds.v4, 0, 0, 0, 0, 0, 0)

async function hostOf(reader: Reader, kind: number): Promise<string | undefined> {
  if (kind === kinds.name) return (await reader.take((await reader.take(1))[0]!)).toString('latin1')
  if (kind !== kinds.v4 && kind !== kinds.v6) return undefined
  const bytes = await reader.take(kind === kinds.v4 ? 4 : 16)
  return addressText({ family: kind === kinds.v4 ? 4 : 6, value: BigInt(`0x${bytes.toString('hex')}`) })
}

/** Takes exact parts of what a client sends. */
class Reader {
  readonly #client: Socket
  #held: Buffer = Buffer.alloc(0)

  constructor(client: Socket) {
    this.#client = client
  }

  /** @throws where the client ends before */
  async take(size: number): Promise<Buffer> {
    while (this.#held.length < size) {
      const more: Buffer | null = this.#client.read()
      if (more !== null) this.#held = Buffer.concat([this.#held, more])
      else if (this.#client.readableEnded || this.#client.destroyed) throw new HostError('the client ended')
      else await this.#more()
    }
    const taken = this.#held.subarray(0, size)
    this.#held = this.#held.subarray(size)
    return taken
  }

  /** What was not taken is read by others. */
  giveBack(): void {
    if (this.#held.length > 0) this.#client.unshift(this.#held)
  }

  /** No listener stays: one for `readable` would hold up all that is read later, stream.Readable, "Event: 'readable'". */
  #more(): Promise<void> {
    return new Promise((resolve) => {
      const events = ['readable', 'end', 'close'] as const
      const done = () => {
        for (const event of events) this.#client.off(event, done)
        resolve()
      }
      for (const event of events) this.#client.on(event, done)
    })
  }
}
