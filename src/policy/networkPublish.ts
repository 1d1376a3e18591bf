/** Where servers of the sandbox are reached from the host: by a port of it, `127.0.0.1:8080:80`, or by a path, `/run/app.sock:80`. */
import { hostText, type IpAddress, parseAddress, parseHost } from './ipAddress.js'
import { readSocketPath } from './networkPaths.js'
import { lastPort } from './networkRules.js'
import { isFault, type Read, reading } from './reading.js'

/** A place of the host: the path of a unix socket, or a port; 0: one that is free. */
export type PublishedAt = { readonly address: IpAddress; readonly port: number } | { readonly path: string }

/** One of them. */
export interface Published {
  readonly at: PublishedAt
  /** A port of the sandbox's loopback, or the path of a unix socket inside. */
  readonly inside: number | string
}

/** Other hosts reach it only where the policy says so. */
const loopback: IpAddress = parseAddress('127.0.0.1')!

/** Address, port or path; port or path inside. A path ends at the first colon behind which a port or a path is all. */
const shape = /^(?:(?:(\[[^\]]*\]|[^:[\]/]*):)?(\d{1,5})|(\/.*?)):(?:(\d{1,5})|(\/.*))$/s
const fault =
  'must be [ADDRESS:]PORT:PORT-INSIDE, such as "127.0.0.1:8080:80"; either side may be the path of a unix socket, such as "/run/app.sock:80"'

function readPublished(text: string): Read<Published> {
  const [, host, port, path, portInside, pathInside] = shape.exec(text) ?? []
  const at = path !== undefined ? readSocketPath(path) : port !== undefined ? placeOf(host, Number(port)) : undefined
  const inside =
    pathInside !== undefined
      ? readSocketPath(pathInside)
      : portInside !== undefined
        ? portOf(Number(portInside), 1)
        : undefined
  if (at === undefined || inside === undefined) return { fault }
  if (isFault(at)) return at
  if (isFault(inside)) return inside
  return { at, inside: 'path' in inside ? inside.path : inside.port }
}

const portOf = (port: number, first: number) => (port >= first && port <= lastPort ? { port } : undefined)

function placeOf(host: string | undefined, port: number): PublishedAt | undefined {
  const address = host === undefined ? loopback : parseHost(host)
  const chosen = portOf(port, 0)
  return address && chosen && { address, ...chosen }
}

const published = reading(readPublished, fault)
/** As data; undefined when the text is none: {@link publishedFault} says why. */
export const parsePublished = published.parse
/** What is wrong with one; nothing: undefined. */
export const publishedFault = published.fault

/** Where it is on the host. */
export const publishedPlace = (at: PublishedAt): string =>
  'path' in at ? at.path : `${hostText(at.address)}:${at.port}`
