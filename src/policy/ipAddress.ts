/** Addresses of IPv4 and IPv6 as numbers: strict in what they read, with one text for each address. */
import { isIPv4, isIPv6 } from 'node:net'

export interface IpAddress {
  readonly family: 4 | 6
  readonly value: bigint
}

/** Addresses that begin with the same bits. */
export interface IpBlock extends IpAddress {
  /** How many bits. */
  readonly prefix: number
}

export const bitsOf = { 4: 32, 6: 128 } as const

/** RFC 4291, 2.5.5.2: an address of IPv4 in the clothes of IPv6, as a dual-stack socket tells it. */
const mapped = 0xffffn

/**
 * Four decimal parts, or RFC 4291's text; undefined for all else, also for what inet_aton(3) would take (`127.1`, `0x7f.1`).
 * `::ffff:192.0.2.1` is 192.0.2.1: connect(2) makes no difference. A zone (`%eth0`) is refused, since it names a device of the reader's.
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: valueOfV4(text) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const value = valueOfV6(text)
  return value >> 32n === mapped ? { family: 4, value: value & 0xffffffffn } : { family: 6, value }
}

const valueOfV4 = (text: string): bigint => text.split('.').reduce((value, part) => (value << 8n) | BigInt(part), 0n)

function valueOfV6(text: string): bigint {
  const [head = '', tail] = text.split('::')
  const first = groupsOf(head)
  const last = groupsOf(tail ?? '')
  const between = tail === undefined ? [] : new Array<bigint>(8 - first.length - last.length).fill(0n)
  return [...first, ...between, ...last].reduce((value, group) => (value << 16n) | group, 0n)
}

function groupsOf(text: string): bigint[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)]
    const value = valueOfV4(group)
    return [value >> 16n, value & 0xffffn]
  })
}

/** The text of an address: of IPv6 as RFC 5952 has it. */
export function addressText({ family, value }: IpAddress): string {
  const part = (index: bigint, width: bigint) => (value >> (index * width)) & ((1n << width) - 1n)
  if (family === 4) return [3n, 2n, 1n, 0n].map((index) => part(index, 8n)).join('.')
  const groups = [7n, 6n, 5n, 4n, 3n, 2n, 1n, 0n].map((index) => part(index, 16n).toString(16))
  // The longest row of zeros, the first of several; of one group there is none.
  let best = { at: 0, length: 1 }
  for (let at = 0; at < 8; at++) {
    let end = at
    while (groups[end] === '0') end++
    if (end - at > best.length) best = { at, length: end - at }
  }
  if (best.length === 1) return groups.join(':')
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`
}

/** Its bytes, in the order of the network. */
export const addressBytes = ({ family, value }: IpAddress): Uint8Array =>
  Uint8Array.from({ length: bitsOf[family] / 8 }, (_, index) =>
    Number((value >> BigInt(bitsOf[family] - 8 * (index + 1))) & 0xffn),
  )

/** As it stands before a port. */
export const hostText = (address: IpAddress): string =>
  address.family === 4 ? addressText(address) : `[${addressText(address)}]`

/** The address that so stands before a port, or without the brackets. */
export const parseHost = (text: string): IpAddress | undefined => parseAddress(text.replace(/^\[(.*)\]$/, '$1'))

/** `10.0.0.0/8`, or an address; undefined for all else. A block may have bits beyond its prefix: see {@link beyondPrefix}. */
export function parseBlock(text: string): IpBlock | undefined {
  const [address = '', length, ...rest] = text.split('/')
  const parsed = parseAddress(address)
  if (parsed === undefined || rest.length > 0) return undefined
  const bits = bitsOf[parsed.family]
  if (length === undefined) return { ...parsed, prefix: bits }
  if (!/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined
  // Of `::ffff:10.0.0.0/104` the prefix counts bits of IPv6.
  const prefix = Number(length) - (address.includes(':') && parsed.family === 4 ? 96 : 0)
  return prefix >= 0 && prefix <= bits ? { ...parsed, prefix } : undefined
}

const without = ({ family, value, prefix }: IpBlock): bigint => {
  const rest = BigInt(bitsOf[family] - prefix)
  return (value >> rest) << rest
}

/** The block without the bits beyond its prefix, where it has any: `10.0.0.0/8` for `10.1.2.3/8`. */
export function beyondPrefix(block: IpBlock): IpBlock | undefined {
  const value = without(block)
  return value === block.value ? undefined : { ...block, value }
}

/** Whether a block is one address. */
export const isOneAddress = ({ family, prefix }: IpBlock): boolean => prefix === bitsOf[family]

/** Whether an address is in a block. */
export const inBlock = (block: IpBlock, { family, value }: IpAddress): boolean =>
  family === block.family && without({ ...block, value }) === without(block)
