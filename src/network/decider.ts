/** Decides what a program wants, by the rules, by its caller, and by the real address; and answers the DNS server's questions. */
import { addressText, type IpAddress } from '../policy/ipAddress.js'
import { isFake } from '../policy/networkAddresses.js'
import type { NetworkRequest, OnRequest } from '../policy/networkCalls.js'
import type { Wanted } from '../policy/networkRules.js'
import type { NameAnswer, Names } from './dnsAnswer.js'
import type { NameTable } from './nameTable.js'
import { type EventLog, flagOf } from './networkEvents.js'
import type { Resolver } from './resolver.js'
import type { RuleBook } from './ruleBook.js'

/** How a rule is named where it was the caller's function that decided. */
export const byCaller = 'onRequest'

export type Decision =
  /** The addresses to dial, at least one; or the path of this host. */
  | {
      readonly verdict: 'allowed'
      readonly rule: string
      readonly addresses: readonly IpAddress[]
      readonly path?: string
    }
  | {
      readonly verdict: 'refused' | 'failed'
      readonly reason: string
      readonly rule?: string | undefined
      readonly flag?: string | undefined
    }

export class Decider implements Names {
  readonly hasV6: boolean
  readonly #book: RuleBook
  readonly #table: NameTable
  readonly #resolver: Resolver
  readonly #onRequest: OnRequest | undefined
  readonly #log: EventLog

  constructor(
    parts: { readonly book: RuleBook; readonly table: NameTable; readonly resolver: Resolver; readonly log: EventLog },
    options: { readonly onRequest?: OnRequest | undefined; readonly hasV6?: boolean | undefined },
  ) {
    this.#book = parts.book
    this.#table = parts.table
    this.#resolver = parts.resolver
    this.#log = parts.log
    this.#onRequest = options.onRequest
    this.hasV6 = options.hasV6 ?? true
  }

  nameOf(address: IpAddress): string | undefined {
    return this.#table.nameOf(address)
  }

  /** What a program wants that connected to this address inside; undefined: an address that was never given to anyone. */
  wantedAt(protocol: Wanted['protocol'], inside: IpAddress, port: number): Wanted | undefined {
    const name = this.#table.nameOf(inside)
    if (name !== undefined) return { protocol, name, port }
    return isFake(inside) ? undefined : { protocol, address: inside, port }
  }

  /** Never rejects. */
  async ask(name: string): Promise<NameAnswer> {
    const answer = await this.#ask(name)
    const subject = { protocol: 'dns', name } as const
    if (answer.is === 'known') this.#log.decision(subject, 'allowed', { reason: 'a rule allows the name' })
    if (answer.is === 'missing') this.#log.decision(subject, 'failed', { reason: 'there is no such name' })
    if (answer.is === 'failed') this.#log.decision(subject, 'failed', { reason: 'it could not be looked up' })
    return answer
  }

  async #ask(name: string): Promise<NameAnswer> {
    const isAllowed = this.#book.mayReach(name)
    const subject = { protocol: 'dns', name } as const
    if (!isAllowed && this.#onRequest === undefined) {
      this.#log.decision(subject, 'refused', { reason: 'no rule allows the name', flag: flagOf(subject) })
      return { is: 'refused' }
    }
    // Of what the caller decides, no one outside is asked before: the question itself would tell something.
    if (isAllowed) {
      const resolution = await this.#resolver.lookup(name)
      if ('missing' in resolution) return { is: resolution.missing === 'none' ? 'missing' : 'failed' }
      if (!resolution.addresses.some((address) => this.#book.answers(address))) {
        const [address] = resolution.addresses
        const reason = `${addressText(address!)} is special, and not listed as an address`
        this.#log.decision(subject, 'refused', { reason, flag: flagOf({ protocol: 'tcp', address: address! }) })
        return { is: 'refused' }
      }
    }
    const addresses = this.#table.addressesOf(name)
    return addresses === undefined ? { is: 'failed' } : { is: 'known', addresses }
  }

  /** Never rejects. */
  async decide(wanted: Wanted): Promise<Decision> {
    const flag = flagOf(wanted)
    const ruling = this.#book.ruling(wanted)
    if (ruling.is === 'denied') return { verdict: 'refused', reason: 'a rule denies it', rule: ruling.rule }
    if (ruling.is === 'allowed' && ruling.path !== undefined)
      return { verdict: 'allowed', rule: ruling.rule, addresses: [], path: ruling.path }
    const { protocol } = wanted
    if (ruling.is === 'undecided') {
      // A path that no rule lists leads nowhere, so that there is nothing to ask.
      if (this.#onRequest === undefined || protocol === 'unix')
        return { verdict: 'refused', reason: 'no rule allows it', flag }
      if (!(await this.#askCaller({ ...wanted, protocol }, this.#onRequest)))
        return { verdict: 'refused', reason: 'the caller denies it', rule: byCaller, flag }
    }
    const rule = ruling.is === 'allowed' ? ruling.rule : byCaller
    const found = await this.#addressesOf(wanted)
    if ('verdict' in found) return found
    // What the caller has seen and allowed is as good as listed.
    const isSeen = rule === byCaller && wanted.address !== undefined
    const refused = found.addresses.map((address) => ({ address, by: this.#book.unreachable({ ...wanted, address }) }))
    const addresses = refused.filter(({ by }) => by === undefined || (isSeen && by.rule === undefined))
    // Rules may have come while it was looked up.
    const denied = this.#book.ruling(wanted)
    if (denied.is === 'denied') return { verdict: 'refused', reason: 'a rule denies it', rule: denied.rule }
    if (addresses.length > 0) return { verdict: 'allowed', rule, addresses: addresses.map(({ address }) => address) }
    const { address, by } = refused[0]!
    const listing = by!.rule === undefined ? flagOf({ ...wanted, name: undefined, address }) : undefined
    return { verdict: 'refused', reason: by!.why, rule: by!.rule, flag: listing }
  }

  async #askCaller(
    { protocol, name, address, port }: Wanted & Pick<NetworkRequest, 'protocol'>,
    onRequest: OnRequest,
  ): Promise<boolean> {
    try {
      const answer = await onRequest({
        ...{ protocol, port },
        ...(name === undefined ? {} : { name }),
        ...(address === undefined ? {} : { address: addressText(address) }),
      })
      return answer === true || answer === 'allow'
    } catch {
      return false
    }
  }

  async #addressesOf({ name, address }: Wanted): Promise<{ readonly addresses: readonly IpAddress[] } | Decision> {
    if (name === undefined) return { addresses: [address!] }
    const resolution = await this.#resolver.lookup(name)
    return 'missing' in resolution ? { verdict: 'failed', reason: resolution.why } : resolution
  }
}
