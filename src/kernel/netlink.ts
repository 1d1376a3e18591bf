/** `linux/netlink.h`, `linux/rtnetlink.h`, `linux/if_addr.h`; netlink(7), rtnetlink(7). */
export const NETLINK = { ROUTE: 0 } as const
export const NLM_F = { REQUEST: 0x1, ACK: 0x4, CREATE: 0x400 } as const
export const RTM = { NEWADDR: 20, NEWROUTE: 24 } as const
export const RTN = { LOCAL: 2 } as const
export const RTA = { OIF: 4 } as const
export const RTPROT = { STATIC: 4 } as const
export const RT_TABLE = { LOCAL: 255 } as const
export const RT_SCOPE = { UNIVERSE: 0, HOST: 254 } as const
export const IFA = { ADDRESS: 1, LOCAL: 2 } as const
export const IFA_F = { NODAD: 0x2 } as const
