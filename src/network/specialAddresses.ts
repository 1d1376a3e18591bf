/**
 * Addresses that are no host's of the public internet: what IANA's registries for special purposes of IPv4 and IPv6 do not call globally
 * reachable, multicast, and what has not been given out. https://www.iana.org/assignments/iana-ipv4-special-registry,
 * https://www.iana.org/assignments/iana-ipv6-special-registry
 */
import { type IpAddress, type IpBlock, inBlock, parseAddress, parseBlock } from '../policy/ipAddress.js'

export interface SpecialRange {
  readonly block: IpBlock
  /** What such an address is, for people: `a private address`. */
  readonly is: string
  readonly source: string
}

/** The first that has an address is the one: the narrow ones come before the wide. */
const rows: readonly (readonly [block: string, is: string, source: string])[] = [
  ['0.0.0.0/32', 'the unspecified address, which is this host', 'RFC 1122'],
  ['0.0.0.0/8', 'an address of "this network"', 'RFC 791'],
  ['10.0.0.0/8', 'a private address', 'RFC 1918'],
  ['100.64.0.0/10', "an address shared behind a carrier's NAT", 'RFC 6598'],
  ['127.0.0.0/8', 'a loopback address', 'RFC 1122'],
  [
    '168.63.129.16/32',
    "the metadata service of Azure's virtual machines",
    'learn.microsoft.com: "IP address 168.63.129.16"',
  ],
  ['169.254.169.254/32', 'a link-local address, the metadata service of clouds', 'RFC 3927'],
  ['169.254.0.0/16', 'a link-local address', 'RFC 3927'],
  ['172.16.0.0/12', 'a private address', 'RFC 1918'],
  ['192.0.0.0/24', "an address of the IETF's protocols", 'RFC 6890'],
  ['192.0.2.0/24', 'an address for documentation', 'RFC 5737'],
  ['192.88.99.0/24', 'a relay of 6to4', 'RFC 7526'],
  ['192.168.0.0/16', 'a private address', 'RFC 1918'],
  ['198.18.0.0/15', 'an address for benchmarks, of which the sandbox has its own', 'RFC 2544'],
  ['198.51.100.0/24', 'an address for documentation', 'RFC 5737'],
  ['203.0.113.0/24', 'an address for documentation', 'RFC 5737'],
  ['224.0.0.0/4', 'a multicast address', 'RFC 5771'],
  ['255.255.255.255/32', 'the broadcast address', 'RFC 919'],
  ['240.0.0.0/4', 'a reserved address', 'RFC 1112'],

  ['::/128', 'the unspecified address, which is this host', 'RFC 4291'],
  ['::1/128', 'the loopback address', 'RFC 4291'],
  // `::ffff:0:0/96` is not here: parseAddress makes it the address of IPv4 that it is. What else has one in it is refused as it is,
  // since who translates it, and to what, is not known here.
  ['::/96', 'an address compatible with IPv4', 'RFC 4291'],
  ['::ffff:0:0:0/96', 'a translated address of IPv4', 'RFC 2765'],
  ['64:ff9b::/96', 'an address of IPv4 behind NAT64', 'RFC 6052'],
  ['64:ff9b:1::/48', 'an address of IPv4 behind NAT64 of this network', 'RFC 8215'],
  ['100::/64', 'an address that is discarded', 'RFC 6666'],
  ['100:0:0:1::/64', 'an address that stands for none', 'RFC 9780'],
  ['2001::/32', 'an address of Teredo, which has one of IPv4 in it', 'RFC 4380'],
  ['2001:2::/48', 'an address for benchmarks', 'RFC 5180'],
  ['2001:10::/28', 'an identifier, no address (ORCHID)', 'RFC 4843'],
  ['2001:20::/28', 'an identifier, no address (ORCHIDv2)', 'RFC 7343'],
  ['2001:db8::/32', 'an address for documentation', 'RFC 3849'],
  ['2001::/23', "an address of the IETF's protocols", 'RFC 2928'],
  ['2002::/16', 'an address of 6to4, which has one of IPv4 in it', 'RFC 3056'],
  ['3fff::/20', 'an address for documentation', 'RFC 9637'],
  ['5f00::/16', 'an identifier of segment routing', 'RFC 9602'],
  ['fd00:ec2::254/128', 'a unique local address, the metadata service of EC2', 'RFC 4193'],
  ['fc00::/7', 'a unique local address', 'RFC 4193'],
  ['fe80::/10', 'a link-local address', 'RFC 4291'],
  ['fec0::/10', 'a site-local address', 'RFC 3879'],
  ['ff00::/8', 'a multicast address', 'RFC 4291'],
]

export const specialRanges: readonly SpecialRange[] = rows.map(([block, is, source]) => ({
  block: parseBlock(block)!,
  is,
  source,
}))

/** All that IANA has given out for hosts so far: https://www.iana.org/assignments/ipv6-address-space */
const globalUnicast = parseBlock('2000::/3')!
const unassigned: SpecialRange = {
  block: parseBlock('::/0')!,
  is: 'an address that has not been given out',
  source: 'RFC 4291',
}

/** Which range an address is of; undefined: it may be any host's of the public internet. */
export function specialRange(address: IpAddress): SpecialRange | undefined {
  const found = specialRanges.find(({ block }) => inBlock(block, address))
  if (found !== undefined || address.family === 4) return found
  return inBlock(globalUnicast, address) ? undefined : unassigned
}

/** The same of a text; one that is no address is of none. */
export function specialRangeOf(text: string): SpecialRange | undefined {
  const address = parseAddress(text)
  return address === undefined ? undefined : specialRange(address)
}
