/** What the profile `default` lets through of ioctl(2): all but what reaches the caller's terminal, the console, or a network. */
import { SIOC, TC, TIOC } from '../../kernel/flags.js'
import type { SeccompProfile } from '../profileSchema.js'
import { int } from './int.js'

/**
 * Of ioctl_tty(2): the first two type into a terminal as if its user did; then another line discipline, which is a driver
 * that is loaded for it; then what leaves a terminal that no other process can open, or that shows nothing, when the payload
 * has ended. SIOCGSKNS is the network namespace of a socket, which may be one of the host's.
 */
const refused = [TIOC.STI, TIOC.LINUX, TIOC.SETD, TIOC.EXCL, TC.XONC, TIOC.CONS, SIOC.GSKNS]

const request = (range: { readonly from: number; readonly to: number }) => [
  { arg: 1, mask: int, ge: range.from },
  { arg: 1, mask: int, le: range.to },
]
/**
 * Of a virtual console, ioctl_console(2): keys that type another text, another mode, font or screen. Pseudo-terminals
 * do not know them, and answer ENOTTY.
 */
const consoles = [
  { from: 0x4b00, to: 0x4bff },
  { from: 0x5600, to: 0x56ff },
]
/**
 * netdevice(7): routes, addresses and devices, those of wireless networks behind them, up to SIOCIWLASTPRIV of
 * `linux/wireless.h`. Not what is below, which is about the socket alone (SIOCATMARK, SIOCSPGRP).
 */
export const devices = { from: SIOC.ADDRT, to: 0x8bff } as const

export const ioctlRules: SeccompProfile['rules'] = [
  { calls: ['ioctl'], when: [{ arg: 1, mask: int, in: refused }], do: { errno: 'EPERM' } },
  ...consoles.map((range) => ({
    calls: ['ioctl' as const],
    when: request(range),
    do: { errno: 'ENOTTY' as const },
  })),
  // A socket that was handed over belongs to the network of its maker. Programs take the answer for a device that has gone.
  { calls: ['ioctl'], when: request(devices), where: 'noNetwork', do: { errno: 'ENODEV' } },
  { calls: ['ioctl'], do: 'allow' },
]

/** For who makes networks itself. */
export const deviceRules: SeccompProfile['rules'] = [{ calls: ['ioctl'], when: request(devices), do: 'allow' }]
