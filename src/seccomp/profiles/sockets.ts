/**
 * What the profile `default` lets through of sockets: of the internet only TCP, UDP and ping, of netlink only the route,
 * and no option that loads another protocol into a socket or makes it listen to many.
 */
import { AF, IP, IPPROTO, IPV6, MCAST, MSG, SOCK, TCP, UDP } from '../../kernel/flags.js'
import type { ArgumentTest, SeccompProfile } from '../profileSchema.js'
import { int } from './int.js'

const family = (...families: number[]): ArgumentTest => ({ arg: 0, mask: int, in: families })
/** Without SOCK_NONBLOCK and SOCK_CLOEXEC: SOCK_TYPE_MASK of `linux/net.h` in the kernel. */
const type = (...types: number[]): ArgumentTest => ({ arg: 1, mask: 0xf, in: types })
const protocol = (...protocols: number[]): ArgumentTest => ({ arg: 2, mask: int, in: protocols })
/** NETLINK_ROUTE; netlink(7). */
const netlinkRoute = 0

const option = (level: number, ...names: number[]): ArgumentTest[] => [
  { arg: 1, mask: int, eq: level },
  { arg: 2, mask: int, in: names },
]
const outOfBand = (flags: number): ArgumentTest[] => [{ arg: flags, mask: MSG.OOB, eq: MSG.OOB }]

export const socketRules: SeccompProfile['rules'] = [
  { calls: ['socket', 'socketpair'], when: [family(AF.UNIX)], do: 'allow' },
  {
    calls: ['socket'],
    when: [
      family(AF.INET, AF.INET6),
      type(SOCK.STREAM, SOCK.DGRAM),
      protocol(IPPROTO.IP, IPPROTO.ICMP, IPPROTO.TCP, IPPROTO.UDP, IPPROTO.ICMPV6),
    ],
    do: 'allow',
  },
  // The kernel asks for CAP_NET_RAW, whatever the protocol is: inet_create() in net/ipv4/af_inet.c.
  { calls: ['socket'], when: [family(AF.INET, AF.INET6), type(SOCK.RAW)], do: 'allow' },
  { calls: ['socket'], when: [family(AF.NETLINK), protocol(netlinkRoute)], do: 'allow' },
  { calls: ['socket'], when: [family(AF.PACKET)], capability: 'CAP_NET_RAW', do: 'allow' },
  // MPTCP, SCTP, UDP-Lite, L2TP, SMC…, as if the kernel had been built without them. Go asks for MPTCP first.
  { calls: ['socket'], when: [family(AF.INET, AF.INET6)], do: { errno: 'EPROTONOSUPPORT' } },
  { calls: ['socket', 'socketpair'], do: { errno: 'EAFNOSUPPORT' } },

  // As if there were no such protocol: __tcp_set_ulp() in net/ipv4/tcp_ulp.c. OpenSSL and GnuTLS then encrypt themselves.
  { calls: ['setsockopt'], when: option(IPPROTO.TCP, TCP.ULP), do: { errno: 'ENOENT' } },
  { calls: ['setsockopt'], when: option(IPPROTO.UDP, UDP.ENCAP), do: { errno: 'ENOPROTOOPT' } },
  // As if no device were there that could: ip_mc_join_group() in net/ipv4/igmp.c.
  ...(
    [
      [IPPROTO.IP, IP.ADD_MEMBERSHIP, IP.ADD_SOURCE_MEMBERSHIP, MCAST.JOIN_GROUP, MCAST.JOIN_SOURCE_GROUP],
      [IPPROTO.IPV6, IPV6.ADD_MEMBERSHIP, IPV6.JOIN_ANYCAST, MCAST.JOIN_GROUP, MCAST.JOIN_SOURCE_GROUP],
    ] as const
  ).map(([level, ...names]) => ({
    calls: ['setsockopt' as const],
    when: option(level, ...names),
    do: { errno: 'ENODEV' as const },
  })),
  { calls: ['setsockopt'], do: 'allow' },

  // As if unix(7) had none: without one that was sent there is none to receive, and recv(2) is left alone.
  { calls: ['sendto', 'sendmmsg'], when: outOfBand(3), do: { errno: 'EOPNOTSUPP' } },
  { calls: ['sendmsg'], when: outOfBand(2), do: { errno: 'EOPNOTSUPP' } },
  { calls: ['sendto', 'sendmsg', 'sendmmsg'], do: 'allow' },
]
