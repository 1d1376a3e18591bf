/** What the policy says of requests: which may be made, and which get a secret. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { addressText, hostText } from '../policy/ipAddress.js'
import { normalName } from '../policy/networkNames.js'
import { admits, usualPort } from '../policy/networkRequests.js'
import { matches, type Wanted } from '../policy/networkRules.js'
import type { Inspected, Valued } from '../policy/networkSecrets.js'
import { endToEnd } from './httpForward.js'
import type { EventLog } from './networkEvents.js'

/** A request on its connection. */
export interface Request {
  readonly asked: IncomingMessage
  readonly wanted: Wanted
  readonly secure: boolean
  /** As the server is to see it, which is the beginning of a path, or `*`. */
  readonly target: string
  /** The host of a whole address, which counts before the Host header: RFC 9112, 3.2.2. */
  readonly host?: string | undefined
}

export type Admitted =
  | { readonly verdict: 'allowed'; readonly headers: OutgoingHttpHeaders; readonly told: Told }
  | { readonly verdict: 'refused'; readonly reason: string; readonly status?: number }

/** Tells what came of it. */
export type Told = (status: number | { readonly reason: string }) => void

export class RequestRules {
  readonly #rules: Inspected
  readonly #log: EventLog

  constructor(rules: Inspected, log: EventLog) {
    this.#rules = rules
    this.#log = log
  }

  /** Whether requests that go there are read. */
  read(wanted: Wanted): boolean {
    const { secrets = [], requests = [] } = this.#rules
    const destinations = [...secrets.map((secret) => secret.for), ...requests.map(({ destination }) => destination)]
    return this.opensTls(wanted) || destinations.some((one) => matches(one, wanted))
  }

  opensTls(wanted: Wanted): boolean {
    const { inspect = [] } = this.#rules
    return wanted.protocol === 'tcp' && (inspect === true || inspect.some((one) => matches(one, wanted)))
  }

  /** Decides, and gives the headers that go out. */
  admit({ asked, wanted, secure, target, host: whole }: Request): Admitted {
    const { method = '' } = asked
    const [path = ''] = target.split('?')
    const host = hostOf(wanted, secure)
    const told = { method, url: `${secure ? 'https' : 'http'}://${host}${path}` }
    const refused = (reason: string, status?: number): Admitted => {
      const why = { reason, ...(status === undefined ? {} : { status }) }
      this.#log.request(wanted, 'refused', { ...told, ...why })
      return { verdict: 'refused', ...why }
    }
    const named = whole === undefined ? (asked.headersDistinct.host ?? []) : [whole]
    if (named.length > 1 || named.some((one) => !isHost(one, wanted, secure)))
      return refused('the Host header names another than the connection was made to', 421)
    const admitted = admits(this.#rules.requests ?? [], { wanted, method, secure, target })
    if (admitted === 'refused') return refused('no rule allows the request')
    const secrets = (this.#rules.secrets ?? []).filter((one) => matches(one.for, wanted))
    if (secrets.length > 0 && !secure && this.opensTls(wanted))
      return refused('a secret is for there, and goes by TLS only where that is opened')
    // RFC 9110, 9.3.8: the answer is the request, with the secret.
    if (secrets.length > 0 && method === 'TRACE') return refused('its answer would have the secret in it')
    const rule = admitted?.rule
    return {
      verdict: 'allowed',
      headers: {
        ...withSecrets(rule === undefined ? endToEnd(asked) : withoutOverrides(endToEnd(asked)), secrets),
        host,
      },
      told: (came) =>
        typeof came === 'number'
          ? this.#log.request(wanted, 'allowed', {
              ...told,
              reason: 'answered',
              status: came,
              ...(rule === undefined ? {} : { rule }),
            })
          : this.#log.request(wanted, 'failed', { ...told, reason: came.reason }),
    }
  }
}

/** Some servers take method and path from these, in place of those that a rule has decided. */
const overrides = new Set([
  ...['x-http-method-override', 'x-http-method', 'x-method-override'],
  ...['x-original-url', 'x-rewrite-url', 'x-original-uri', 'x-override-url'],
])

const withoutOverrides = (headers: ReturnType<typeof endToEnd>): ReturnType<typeof endToEnd> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !overrides.has(name)))

/** As the Host header has it. */
function hostOf({ name, address, port }: Wanted, secure: boolean): string {
  return `${name ?? hostText(address!)}${port === usualPort(secure) ? '' : `:${port}`}`
}

/** Whether a client means what it is connected to. */
function isHost(named: string, { name, address, port }: Wanted, secure: boolean): boolean {
  const [, host, written] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(named) ?? []
  if (host === undefined || Number(written ?? usualPort(secure)) !== port) return false
  return name === undefined ? host === hostText(address!) || host === addressText(address!) : normalName(host) === name
}

function withSecrets(headers: Record<string, string | string[]>, secrets: readonly Valued[]): OutgoingHttpHeaders {
  const changed: OutgoingHttpHeaders = { ...headers }
  for (const { header, placeholder, value } of secrets) {
    const given = changed[header]
    if (given === undefined) continue
    const put = (text: string) => inBasic(text, (one) => one.replaceAll(placeholder, () => value))
    changed[header] = Array.isArray(given) ? given.map(put) : put(String(given))
  }
  return changed
}

/** RFC 7617: a name and a password, in base64. */
function inBasic(text: string, put: (text: string) => string): string {
  const [, scheme, encoded] = /^(basic +)([a-z\d+/=_-]+)$/i.exec(text) ?? []
  if (scheme === undefined || encoded === undefined) return put(text)
  return `${scheme}${Buffer.from(put(Buffer.from(encoded, 'base64').toString('latin1')), 'latin1').toString('base64')}`
}
