/**
 * A host of the tests' own for private networks: a network namespace with a device that has a default route, addresses and a resolver, and a pid
 * namespace in which /proc shows only what the test has started. Nothing outside of this machine is there to be reached.
 */
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { notInstalled } from '../needs.js'
import type { Caller } from '../user.js'

/** An address of that host that is neither loopback nor the one that a private network has itself. */
export const other = '198.51.100.7'
/** The one that it has itself, and the gateways. */
export const own = { v4: '192.0.2.9', v6: '2001:db8::9' } as const
export const gateways = ['192.0.2.1', '2001:db8::1'] as const

const isRoot = process.getuid?.() === 0
const device = '/dev/net/tun'

/** The device may be root's alone: a host's udev(7) makes it everybody's. */
const openDevice = isRoot
  ? `mount -t tmpfs none /mnt && mknod -m 666 /mnt/tun c 10 200 && mount --bind /mnt/tun ${device} && umount -l /mnt`
  : 'true'

const network = [
  'ip link set lo up',
  'ip link add uplink type veth peer name beyond',
  'ip link set beyond up',
  `ip addr add ${own.v4}/24 dev uplink`,
  `ip addr add ${own.v6}/64 dev uplink nodad`,
  'ip link set uplink up',
  `ip route add default via ${gateways[0]}`,
  `ip route add default via ${gateways[1]}`,
  `ip addr add ${other}/32 dev lo`,
  'echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start',
]

/**
 * Words before a command that the caller runs on that host.
 * @param resolver the text of its /etc/resolv.conf
 * @param change done there as root, behind all else
 */
export function onHost(caller: Caller, resolver = 'nameserver 203.0.113.53\n', change = 'true'): readonly string[] {
  const become = isRoot ? `setpriv --reuid ${caller.uid} --regid ${caller.gid} --clear-groups` : ''
  const names = `printf '%s' "$1" > /run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf`
  const make = [openDevice, 'mount -t tmpfs none /run', names, ...network, change].join(' && ')
  const script = `${make} && shift && exec ${become} "$@"`
  const namespaces = ['-n', '-m', '--pid', '--fork', '--kill-child', '--mount-proc', ...(isRoot ? [] : ['-U', '-r'])]
  return ['unshare', ...namespaces, 'sh', '-c', script, 'sh', resolver]
}

/** Why there is no such host. */
export const noPrivateHost = (): string | false =>
  notInstalled('pasta', 'unshare', 'ip', 'python3', 'setpriv') || noDevice() || noNamespaces()

function noDevice(): string | false {
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
    return false
  } catch {
    return `this user may not open ${device}`
  }
}

function noNamespaces(): string | false {
  const caller = { name: 'caller', uid: process.getuid!(), gid: process.getgid!() }
  const [program, ...words] = onHost(caller)
  const { status, stderr } = spawnSync(program!, [...words, 'true'], { encoding: 'utf8' })
  return status !== 0 && `no network of its own can be made: ${stderr.trim()}`
}
