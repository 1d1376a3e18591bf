/**
 * Messages of rtnetlink(7) that make every address of a network namespace its own: a local route over lo for all of them. What no socket
 * waits at is then refused at once, and what one does wait at is whatever address it was bound to.
 */
import { AF } from '../kernel/flags.js'
import { IFA, IFA_F, NLM_F, RT_SCOPE, RT_TABLE, RTA, RTM, RTN, RTPROT } from '../kernel/netlink.js'
import { pack, structs } from '../kernel/structs.js'

/** The first device of each network namespace. */
const lo = 1

/**
 * Two messages, each of which is answered.
 * @param own an address that the device gets itself: getaddrinfo(3) with AI_ADDRCONFIG looks up none of a kind of which it finds only loopback's
 */
export function localMessages(family: 'INET' | 'INET6', own: Uint8Array): readonly Uint8Array[] {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(lo)
  const address = pack(structs.ifaddrmsg, {
    ifa_family: AF[family],
    ifa_prefixlen: 8 * own.length,
    ifa_flags: family === 'INET6' ? IFA_F.NODAD : 0,
    ifa_scope: RT_SCOPE.UNIVERSE,
    ifa_index: lo,
  })
  const route = pack(structs.rtmsg, {
    rtm_family: AF[family],
    rtm_dst_len: 0,
    rtm_table: RT_TABLE.LOCAL,
    rtm_protocol: RTPROT.STATIC,
    rtm_scope: family === 'INET' ? RT_SCOPE.HOST : RT_SCOPE.UNIVERSE,
    rtm_type: RTN.LOCAL,
  })
  return [
    message(RTM.NEWADDR, address, attribute(IFA.LOCAL, own), attribute(IFA.ADDRESS, own)),
    message(RTM.NEWROUTE, route, attribute(RTA.OIF, number)),
  ]
}

function message(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts)
  const header = pack(structs.nlmsghdr, {
    nlmsg_len: structs.nlmsghdr.size + body.length,
    nlmsg_type: type,
    nlmsg_flags: NLM_F.REQUEST | NLM_F.CREATE | NLM_F.ACK,
  })
  return Buffer.concat([header, body])
}

const attribute = (type: number, value: Uint8Array): Uint8Array =>
  Buffer.concat([pack(structs.rtattr, { rta_len: structs.rtattr.size + value.length, rta_type: type }), value])
