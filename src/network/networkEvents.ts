/** What is told of a sandbox's network: an event for each decision and each end, and a summary of what was refused. */
import { addressText, bitsOf } from '../policy/ipAddress.js'
import type { NetworkEvent, NetworkVerdict } from '../policy/networkCalls.js'
import { destinationText, noPort, type Protocol, type Wanted } from '../policy/networkRules.js'
import { shellWord } from '../text/shellWord.js'
import { allowFlag } from './ruleBook.js'

/** What was refused, and how often. */
export interface RefusedDestination {
  /** As a rule has it; of a question for a name, the name; of a request, that. */
  readonly destination: string
  /** How it was wanted; `dns`: by a question for its name. */
  readonly protocol: Protocol | 'dns'
  /** How often it was refused. */
  readonly count: number
  /** Why, the last time. */
  readonly reason: string
  /** The flag that would allow it, such as `--allow api.example.com:443`; absent where a rule denies it. */
  readonly flag?: string
}

/** What came of a sandbox's network. */
export interface NetworkSummary {
  /** In the order in which they were first refused. */
  readonly refused: readonly RefusedDestination[]
  /** How often others were refused, beyond the thousand that are listed. */
  readonly others: number
  /** Connections and conversations that were allowed. */
  readonly allowed: number
  /** Bytes that programs got, of connections that have ended. */
  readonly bytesIn: number
  /** Bytes that programs sent, of the same. */
  readonly bytesOut: number
}

const mostListed = 1000

/** What was wanted: with a port, or by a question for a name. */
export type Subject = Omit<Wanted, 'port' | 'protocol'> & {
  readonly protocol: Protocol | 'dns'
  readonly port?: number
}

/** The part of an event that says what was wanted. */
const subjectOf = ({ protocol, name, address, path, port }: Subject) => ({
  protocol,
  ...(name === undefined ? {} : { name }),
  ...(address === undefined ? {} : { address: addressText(address) }),
  ...(path === undefined ? {} : { path }),
  ...(port === undefined || port === noPort ? {} : { port }),
})

const subjectText = ({ protocol, name, address, path, port }: Subject): string => {
  if (protocol === 'unix') return `unix:${path}`
  if (protocol === 'dns' || port === undefined) return name ?? '*'
  const host =
    name === undefined
      ? { kind: 'address' as const, block: { ...address!, prefix: bitsOf[address!.family] } }
      : { kind: 'name' as const, name }
  return destinationText({ protocol, host, first: port, last: port })
}

export class EventLog {
  readonly #onEvent: ((event: NetworkEvent) => void) | undefined
  readonly #refused = new Map<string, RefusedDestination>()
  #others = 0
  #allowed = 0
  #bytesIn = 0
  #bytesOut = 0

  constructor(onEvent: ((event: NetworkEvent) => void) | undefined) {
    this.#onEvent = onEvent
  }

  /** @param flag what would allow it */
  decision(
    subject: Subject,
    verdict: NetworkVerdict,
    {
      reason,
      rule,
      flag,
    }: { readonly reason: string; readonly rule?: string | undefined; readonly flag?: string | undefined },
  ): void {
    if (verdict === 'refused') this.#count(subject, reason, flag)
    if (verdict === 'allowed' && subject.protocol !== 'dns') this.#allowed++
    this.#tell({ ...this.#head('decision', subject), verdict, reason, ...(rule === undefined ? {} : { rule }) })
  }

  /** A request of HTTP on a connection that was allowed. */
  request(
    subject: Subject,
    verdict: NetworkVerdict,
    {
      method,
      url,
      ...rest
    }: Pick<NetworkEvent, 'reason' | 'rule' | 'status'> & { readonly method: string; readonly url: string },
  ): void {
    if (verdict === 'refused')
      this.#count(subject, rest.reason, `--request ${shellWord(`${method} ${url}`)}`, `${method} ${url}`)
    this.#tell({ ...this.#head('request', subject), verdict, method, url, ...rest })
  }

  end(
    subject: Subject,
    verdict: NetworkVerdict,
    rest: Required<Pick<NetworkEvent, 'reason' | 'bytesIn' | 'bytesOut' | 'ms'>> & {
      readonly rule?: string
      readonly real?: string
    },
  ): void {
    this.#bytesIn += rest.bytesIn
    this.#bytesOut += rest.bytesOut
    this.#tell({ ...this.#head('end', subject), verdict, ...rest })
  }

  summary(): NetworkSummary {
    return {
      refused: [...this.#refused.values()],
      others: this.#others,
      allowed: this.#allowed,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    }
  }

  #head(event: NetworkEvent['event'], subject: Subject) {
    return { time: Date.now(), event, ...subjectOf(subject) }
  }

  #count(subject: Subject, reason: string, flag: string | undefined, destination = subjectText(subject)): void {
    const key = `${subject.protocol} ${destination}`
    const known = this.#refused.get(key)
    if (known === undefined && this.#refused.size >= mostListed) {
      this.#others++
      return
    }
    const { protocol } = subject
    this.#refused.set(key, {
      ...{ destination, protocol, count: (known?.count ?? 0) + 1, reason },
      ...(flag === undefined ? {} : { flag }),
    })
  }

  /** Later, for a listener that throws must leave no connection half done; it is heard as any other's throw is. */
  #tell(event: NetworkEvent): void {
    const onEvent = this.#onEvent
    if (onEvent !== undefined) queueMicrotask(() => onEvent(event))
  }
}

/** The flag for what was wanted, which is a rule of its own. */
export const flagOf = (subject: Subject): string =>
  allowFlag({ ...subject, protocol: subject.protocol === 'dns' ? 'tcp' : subject.protocol })
