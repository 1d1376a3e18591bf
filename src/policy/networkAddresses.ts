/**
 * The addresses that names have inside. Each name has one of IPv4 and one of IPv6, with the same low 16 bits, so that the address that
 * a program connects to tells the name that it asked for.
 */
import { addressText, type IpAddress, type IpBlock, inBlock, parseBlock } from './ipAddress.js'
import type { Destination } from './networkRules.js'

/** RFC 2544: for benchmarks of networks, and so no host's own anywhere. */
export const fakeV4: IpBlock = parseBlock('198.18.0.0/16')!
/** RFC 4193: a prefix of our own; its digits are "vial". */
export const fakeV6: IpBlock = parseBlock('fd00:7669:616c::/64')!

/** Numbers of addresses: below, those of the sandbox's own services. */
const firstName = 0x100
const lastName = 0xffff

/** How many names can have an address at a time. */
export const mostNames = lastName - firstName + 1

/** A name's addresses inside. */
export interface FakeAddresses {
  readonly v4: string
  readonly v6: string
}

const addressesOf = (low: number): FakeAddresses => ({
  v4: addressText({ family: 4, value: fakeV4.value + BigInt(low) }),
  v6: addressText({ family: 6, value: fakeV6.value + BigInt(low) }),
})

/** Where the sandbox's DNS server listens. */
export const dnsAddresses: FakeAddresses = addressesOf(1)
export const dnsPort = 53

/** The addresses of the name with this index, which is below {@link mostNames}. */
export const fakeAddresses = (index: number): FakeAddresses => addressesOf(firstName + index)

/** Whether an address is one of those that names have, or could have. */
export const isFake = (address: IpAddress): boolean => inBlock(fakeV4, address) || inBlock(fakeV6, address)

/** The index of the name that an address stands for; undefined: it is no name's. */
export function fakeIndex(address: IpAddress): number | undefined {
  const block = address.family === 4 ? fakeV4 : fakeV6
  const index = Number(address.value - block.value) - firstName
  return index >= 0 && index < mostNames ? index : undefined
}

/** The exact names of rules, each once, in the order of the rules: the index of a name here is the index of its addresses. */
export const fixedNames = (rules: readonly Destination[]): readonly string[] => [
  ...new Set(rules.flatMap(({ host }) => (host.kind === 'name' ? [host.name] : []))),
]

/** The addresses that exact names have from the start. */
export const fixedAddresses = (rules: readonly Destination[]): ReadonlyMap<string, FakeAddresses> =>
  new Map(fixedNames(rules).map((name, index) => [name, fakeAddresses(index)]))
