/** Values of a policy that are about the network. */
import * as v from 'valibot'
import { either, object } from '../text/shapes.js'
import type { NetworkEvent, OnRequest, Resolve } from './networkCalls.js'
import { parsePublished, type Published, publishedFault } from './networkPublish.js'
import { parseRequest, requestFault, type RequestRule } from './networkRequests.js'
import { destinationFault, lastPort, parseDestination } from './networkRules.js'
import { headerValue, usualPlaceholder } from './networkSecrets.js'
import { environmentName, parsed, text } from './values.js'

/** A destination as it is written, such as `api.example.com:443`; from there on data. */
export const destination = parsed<string, NonNullable<ReturnType<typeof parseDestination>>>(
  destinationFault,
  parseDestination,
)

const published = parsed<string, Published>(publishedFault, parsePublished)

const request = parsed<string, RequestRule>(requestFault, parseRequest)

/** Of a header of HTTP. */
const value = v.pipe(
  text,
  v.regex(headerValue, 'must be what a header of HTTP may have: no line break, and not nothing'),
)

const secret = v.pipe(
  object({
    /** The variable in which programs find what stands for the secret. */
    env: environmentName,
    /** The secret itself. It never comes into the sandbox, nor into a file. Default: what the variable `env` is outside. */
    value: v.optional(value),
    /** Where it is sent: `api.example.com:443`. With TLS `inspect` has to list that too. */
    for: destination,
    /** The header that it is put into, where programs have written what stands for it, also in base64 behind `Basic`. Default: `authorization`. */
    header: v.optional(v.pipe(text, v.regex(/^[!#$%&'*+.^`|~\w-]+$/, 'must be the name of a header'), v.toLowerCase())),
    /** What stands for it, for programs that look at its form. Default: `vial-secret-` and the name of the variable. */
    placeholder: v.optional(
      v.pipe(text, v.regex(/^[\x21-\x7e]{8,}$/, 'must have at least 8 characters, and no blank')),
    ),
  }),
  v.transform(({ header = 'authorization', placeholder, ...rest }) => ({
    ...rest,
    header,
    placeholder: placeholder ?? usualPlaceholder(rest.env),
  })),
)

const inspectFault = 'must be true or a list of destinations'

const port = v.pipe(
  v.number('must be a port'),
  v.integer('must be a port'),
  v.minValue(1, 'must be a port'),
  v.maxValue(lastPort, 'must be a port'),
)

const call = <Call>() => v.custom<Call>((value) => typeof value === 'function', 'must be a function')

/** The network by name. */
const byName = object({
  /**
   * Destinations that programs reach, by their names: `api.example.com:443`, `*.example.org:80`, `10.0.0.5:5432`, `[2001:db8::1]:443`,
   * `udp:ntp.example.org:123`, `*:443`; a port may be a range, `8000-8010`. A name that leads to an address that is not public (private,
   * loopback, link-local, …) is refused, unless that address is listed too. `unix:/run/app.sock` is a unix socket of the host, at the same
   * path inside; `unix:/run/app.sock:/tmp/app.sock` at another. Default: none.
   */
  allow: v.optional(v.array(destination)),
  /** Destinations that they do not reach, whatever `allow` says. Default: none. */
  deny: v.optional(v.array(destination)),
  /**
   * Servers of the sandbox that programs of the host reach: `127.0.0.1:8080:80`, an address and a port of the host and a port of the sandbox's
   * loopback. Without an address 127.0.0.1; port 0 of the host is one that is free. Either side may be the path of a unix socket,
   * `/home/me/app.sock:80` and `8080:/run/app.sock`; that of the host is made for this user alone, and removed at the end. Default: none.
   */
  publish: v.optional(v.array(published)),
  /**
   * A port of the sandbox's loopback at which there is a proxy, for HTTP and SOCKS 5: for programs that insist on one, and for hosts of which any port
   * is allowed. The variables `HTTP_PROXY` and others name it. No destination has this port. Default: none.
   */
  proxy: v.optional(port),
  /**
   * Destinations whose requests of HTTP are read, also in TLS, which is opened for it: the sandbox trusts an authority of its own, made when it starts.
   * What is no HTTP fails there. `true`: all of TCP. Default: none.
   */
  inspect: v.optional(either({ word: v.literal(true, inspectFault), list: v.array(destination) }, inspectFault)),
  /** Secrets that programs use and do not have. Default: none. */
  secrets: v.optional(v.array(secret)),
  /**
   * Requests that may be made, where one of these names the destination: `GET https://api.example.com/v1/*`, a method or `*`, and a path, or what it begins
   * with. Default: all.
   */
  requests: v.optional(v.array(request)),
  /** Certificates, as PEM, of authorities that TLS which was opened trusts outside, beside those of this host. Default: none. */
  authorities: v.optional(text),
  /**
   * Decides what no rule decides: a connection to a name or a public address, at a port of `allow`, 80 or 443. What it throws denies. Default:
   * it is refused.
   */
  onRequest: v.optional(call<OnRequest>()),
  /** Is told of each decision, and of the end of each connection. Default: none is told. */
  onEvent: v.optional(call<(event: NetworkEvent) => void>()),
  /** Looks names up, outside. Default: as any program of the host does, getaddrinfo(3). */
  resolve: v.optional(call<Resolve>()),
})

/** A network by name, as a user writes it. */
export interface NamedNetwork extends v.InferInput<typeof byName> {}
/** The same, checked. */
export interface CheckedNetwork extends Readonly<v.InferOutput<typeof byName>> {}

const networkFault = 'must be "none", "private", "host" or { allow, deny, publish }'

const networkWords = ['none', 'private', 'host'] as const
export type NetworkWord = (typeof networkWords)[number]

/** What a sandbox reaches of the network. */
export const networkSchema = either({ word: v.picklist(networkWords, networkFault), object: byName }, networkFault)

/** Whether servers of the sandbox are reached from outside: what connects to them has to enter it. */
export const publishes = (network: NetworkWord | CheckedNetwork | undefined): boolean =>
  typeof network === 'object' && (network.publish ?? []).length > 0
