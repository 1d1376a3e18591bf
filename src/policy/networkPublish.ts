/** Ports of the host at which a server of the sandbox is reached: `127.0.0.1:8080:80`. */
import { hostText, type IpAddress, parseAddress, parseHost } from './ipAddress.js'
import { lastPort } from './networkRules.js'

/** One of them. */
export interface Published {
  /** Of the host. */
  readonly address: IpAddress
  /** Of the host; 0: one that is free. */
  readonly port: number
  /** Of the sandbox's loopback. */
  readonly inside: number
}

/** Other hosts reach it only where the policy says so. */
const loopback: IpAddress = parseAddress('127.0.0.1')!

const shape = /^(?:(\[[^\]]*\]|[^:[\]]*):)?(\d{1,5}):(\d{1,5})$/
const fault = 'must be [ADDRESS:]PORT:PORT-INSIDE, such as "127.0.0.1:8080:80"'

/** As data; undefined when the text is none: {@link publishedFault} says why. */
export function parsePublished(text: string): Published | undefined {
  const [, host, port, inside] = shape.exec(text) ?? []
  if (port === undefined || inside === undefined) return undefined
  const address = host === undefined ? loopback : parseHost(host)
  const made = address && { address, port: Number(port), inside: Number(inside) }
  return made !== undefined && made.port <= lastPort && made.inside >= 1 && made.inside <= lastPort ? made : undefined
}

/** What is wrong with one; nothing: undefined. */
export const publishedFault = (value: unknown): string | undefined =>
  typeof value === 'string' && parsePublished(value) !== undefined ? undefined : fault

/** Where it is on the host. */
export const publishedPlace = ({ address, port }: Pick<Published, 'address' | 'port'>): string =>
  `${hostText(address)}:${port}`
