/** What the rules say of a destination, and of the real address that a name turned out to have. */
import { isOfThisHost } from '../fill/hostNames.js'
import { addressText, hostText, type IpAddress, inBlock } from '../policy/ipAddress.js'
import { isFake } from '../policy/networkAddresses.js'
import { type Destination, destinationText, matches, mayReach, type Wanted } from '../policy/networkRules.js'
import { specialRange } from './specialAddresses.js'

/** The rules of a sandbox; each of `deny` wins over all of `allow`. */
export interface NetworkRules {
  readonly allow: readonly Destination[]
  readonly deny: readonly Destination[]
}

export type Ruling =
  /** `path`: of the host, where that is what is wanted. */
  | { readonly is: 'allowed'; readonly rule: string; readonly path?: string }
  | { readonly is: 'denied'; readonly rule: string }
  /** No rule is about it. */
  | { readonly is: 'undecided' }

/** What is wrong with a real address, and how a rule would name it. */
export interface Unreachable {
  readonly why: string
  /** The rule of `deny`, if one says so. */
  readonly rule?: string
}

const sameText = (rules: readonly Destination[], added: readonly Destination[]): Destination[] => [
  ...new Map([...rules, ...added].map((rule) => [destinationText(rule), rule])).values(),
]

export class RuleBook {
  #rules: NetworkRules

  constructor(rules: NetworkRules) {
    this.#rules = rules
  }

  get rules(): NetworkRules {
    return this.#rules
  }

  /** Also what was denied: the last word on it is this. */
  allow(destinations: readonly Destination[]): void {
    const texts = new Set(destinations.map(destinationText))
    const deny = this.#rules.deny.filter((rule) => !texts.has(destinationText(rule)))
    // A path inside leads to one socket.
    const insides = new Set(destinations.map(({ host }) => (host.kind === 'path' ? host.inside : undefined)))
    const allow = this.#rules.allow.filter(({ host }) => host.kind !== 'path' || !insides.has(host.inside))
    this.#rules = { allow: sameText(allow, destinations), deny }
  }

  deny(destinations: readonly Destination[]): void {
    this.#rules = { ...this.#rules, deny: sameText(this.#rules.deny, destinations) }
  }

  /** What is said of a name, of an address that the program knew, or of a path; and of the host's path to which that leads. */
  ruling(wanted: Wanted): Ruling {
    const allowed = this.#rules.allow.find((rule) => matches(rule, wanted))
    const path = allowed?.protocol === 'unix' ? allowed.host.outside : undefined
    const leadsThere = ({ host }: Destination) => host.kind === 'path' && host.outside === path
    const denied = this.#rules.deny.find((rule) => matches(rule, wanted) || leadsThere(rule))
    if (denied !== undefined) return { is: 'denied', rule: destinationText(denied) }
    if (allowed === undefined) return { is: 'undecided' }
    return { is: 'allowed', rule: destinationText(allowed), ...(path === undefined ? {} : { path }) }
  }

  /** Whether any port of a name may be reached. */
  mayReach(name: string): boolean {
    return mayReach(name, this.#rules)
  }

  /**
   * Why this address is not dialled, although its name may be reached; undefined: it is. What is special is dialled only where a rule
   * lists the address, or its block, with this port.
   */
  unreachable(real: Wanted & { readonly address: IpAddress }): Unreachable | undefined {
    const byAddress = (rule: Destination) => rule.host.kind === 'address' && matches(rule, real)
    const denied = this.#rules.deny.find(byAddress)
    if (denied !== undefined) return { why: 'its address is denied', rule: destinationText(denied) }
    const is = whatIsSpecial(real.address)
    if (is === undefined || this.#rules.allow.some(byAddress)) return undefined
    return { why: `${addressText(real.address)} is ${is}, and not listed as an address` }
  }

  /** Whether an address may be dialled by some port, or be the answer to a question for a name. */
  answers(address: IpAddress): boolean {
    if (whatIsSpecial(address) === undefined) return true
    return this.#rules.allow.some(({ host }) => host.kind === 'address' && inBlock(host.block, address))
  }
}

/** In words; undefined: an address as any other host of the internet could have it. */
function whatIsSpecial(address: IpAddress): string | undefined {
  // Before all that is listed: it would come back to the gateway, or be another program's.
  if (isFake(address)) return 'an address of the sandbox itself'
  // Public ones of this host are, to its servers, as good as its loopback.
  return specialRange(address)?.is ?? (isOfThisHost(address) ? 'an address of this host' : undefined)
}

/** The flag that would let a destination be reached. */
export const allowFlag = ({
  protocol,
  name,
  address,
  path,
  port,
}: Omit<Wanted, 'port'> & { readonly port?: number }): string =>
  path !== undefined
    ? `--allow unix:${path}`
    : `--allow ${protocol === 'udp' ? 'udp:' : ''}${name ?? (address === undefined ? '*' : hostText(address))}:${port ?? 'PORT'}`
