/** Requests of HTTP that a sandbox may make: `GET https://api.example.com/v1/*`. */
import {
  type Destination,
  destinationFault,
  destinationText,
  matches,
  parseDestination,
  type Wanted,
} from './networkRules.js'
import { type Read, reading } from './reading.js'

/** One rule, as data. */
export interface RequestRule {
  /** Undefined: any. */
  readonly method: string | undefined
  /** By TLS, or without. */
  readonly secure: boolean
  readonly destination: Destination
  /** As a request has it, before its query; with `isBeginning` what it begins with. */
  readonly path: string
  readonly isBeginning: boolean
}

/** What a program asks for. */
export interface Asked {
  readonly wanted: Wanted
  readonly method: string
  readonly secure: boolean
  /** With a query or without. */
  readonly target: string
}

const notThis = 'must be METHOD URL, such as "GET https://api.example.com/v1/*" or "* http://example.org/*"'

/** RFC 9110, 5.6.2: a method is a token. */
const shape = /^(\*|[!#$%&'+.^_`|~\w-]+) (https?):\/\/([^/?#\s]+)(\/[^?#\s]*)?$/

/** RFC 9110, 4.2: ports of their own. */
export const usualPort = (secure: boolean): number => (secure ? 443 : 80)

function readRequest(text: string): Read<RequestRule> {
  const [, method, scheme, host, path] = shape.exec(text) ?? []
  if (method === undefined || host === undefined) return { fault: notThis }
  const secure = scheme === 'https'
  const written = /:[^\]]*$/.test(host) ? host : `${host}:${usualPort(secure)}`
  const destination = parseDestination(written)
  if (destination === undefined) return { fault: destinationFault(written)! }
  // Without a path: all of the host's.
  const pattern = path ?? '/*'
  const isBeginning = pattern.endsWith('*')
  const start = isBeginning ? pattern.slice(0, -1) : pattern
  if (start.includes('*')) return { fault: 'has a * that is not at its end' }
  if (plainPath(start) === undefined)
    return { fault: 'has a path that servers read in several ways, with "..", "//" or %2f' }
  return { method: method === '*' ? undefined : method, secure, destination, path: start, isBeginning }
}

const requests = reading(readRequest, notThis)
/** What is wrong with one; nothing: undefined. */
export const requestFault = requests.fault
/** As data; undefined when the text is none: {@link requestFault} says why. */
export const parseRequest = requests.parse

/** The text of a rule, which parses to the same. */
export const requestText = ({ method, secure, destination, path, isBeginning }: RequestRule): string =>
  `${method ?? '*'} ${secure ? 'https' : 'http'}://${destinationText(destination)}${path}${isBeginning ? '*' : ''}`

/**
 * The path of a request's target, if all servers read it alike. Some decode it, take `\` for `/`, leave out empty parts, or what is behind a `;`, before
 * they resolve `..`: then it would be another than the one that was compared.
 */
export function plainPath(target: string): string | undefined {
  const [path = ''] = target.split('?')
  if (!path.startsWith('/') || oddPath.test(path)) return undefined
  const parts = path.slice(1).split('/')
  const isOdd = parts.some((part, index) => {
    const [name = ''] = part.replaceAll(/%2e/gi, '.').split(/;|%3b/i)
    return name === '.' || name === '..' || (part === '' && index < parts.length - 1)
  })
  return isOdd ? undefined : path
}

/** Escapes that are none, or of `/`, `\\`, NUL or `%`, or of characters in more bytes than they take; and what no path has: RFC 3986, 3.3. */
const oddPath = /%(?:2f|5c|00|25|c0|c1|e0%[89]|f0%8|(?![\da-f]{2}))|[^!$-[\]-~]/i

/** Whether rules let a request be made: undefined where none is about its destination, so that all may be made there. */
export function admits(rules: readonly RequestRule[], asked: Asked): { readonly rule: string } | 'refused' | undefined {
  const there = rules.filter(({ destination }) => matches(destination, asked.wanted))
  if (there.length === 0) return undefined
  const path = plainPath(asked.target)
  const rule =
    path === undefined
      ? undefined
      : there.find(
          (one) =>
            one.secure === asked.secure &&
            (one.method ?? asked.method) === asked.method &&
            (one.isBeginning ? path.startsWith(one.path) : path === one.path),
        )
  return rule === undefined ? 'refused' : { rule: requestText(rule) }
}
