import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { attacks, holding, open } from './attack.js'
import type { Scene } from './scene.js'

const hostNetwork = { ...open, network: 'host' } as const
const hostDevice = readdirSync('/sys/class/net').find((name) => name !== 'lo') ?? 'lo'
/** Numbers of address families and protocols, socket(2). */
const family = { netlink: 16, alg: 38, vsock: 40, bluetooth: 31, can: 29, xdp: 44 } as const
/** Protocols of netlink(7). */
const netlinks = Object.entries({
  sockDiag: 4,
  xfrm: 6,
  connector: 11,
  netfilter: 12,
  generic: 16,
  rdma: 20,
  crypto: 21,
})

await attacks('sockets', [
  {
    tries: "a service on the host's loopback",
    words: ({ port }) => ['loopback', String(port)],
    refused: ['ECONNREFUSED'],
    weak: hostNetwork,
  },
  {
    tries: 'a service on an abstract name',
    words: ({ abstractName }) => ['abstract', abstractName],
    refused: ['ECONNREFUSED'],
    weak: hostNetwork,
  },
  {
    tries: "a service's socket by its path, as those of docker, D-Bus and X11",
    words: ({ socket }) => ['unix', socket],
    refused: ['ENOENT'],
    weak: ({ socket }) => ({ ...open, identity: { uid: 0, gid: 0 }, filesystem: [{ bind: socket, writable: true }] }),
  },
  ...['/run/docker.sock', '/run/containerd/containerd.sock', '/run/dbus/system_bus_socket', '/tmp/.X11-unix/X0'].map(
    (path) => ({
      tries: `the socket ${path}`,
      words: ['unix', path],
      refused: ['ENOENT'],
      weak: ({ socket }: { socket: string }) => ({
        ...open,
        identity: { uid: 0, gid: 0 },
        filesystem: [{ bind: path, from: socket, writable: true }],
      }),
    }),
  ),
  { tries: 'raw sockets', words: ['raw'], refused: ['EPERM'], weak: holding('CAP_NET_RAW') },
  { tries: 'packets of all', words: ['packet'], refused: ['EAFNOSUPPORT'], weak: holding('CAP_NET_RAW') },
  { tries: 'a port of a service', words: ['low-port'], refused: ['EACCES'], weak: holding('CAP_NET_BIND_SERVICE') },
  {
    tries: "the kernel's events (netlink)",
    words: ['family', String(family.netlink), '3', '15'],
    refused: ['EAFNOSUPPORT'],
    weak: open,
  },
  {
    tries: 'audit (netlink)',
    words: ['family', String(family.netlink), '3', '9'],
    refused: ['EAFNOSUPPORT'],
    weak: open,
  },
  ...netlinks.map(([name, protocol]) => ({
    tries: `netlink of the kind ${name}`,
    words: ['family', String(family.netlink), '3', String(protocol)],
    refused: ['EAFNOSUPPORT'],
    weak: open,
  })),
  {
    tries: "a device of the host's for a socket (SO_BINDTODEVICE)",
    words: ['bind-device', hostDevice],
    refused: ['ENODEV'],
    weak: hostNetwork,
  },
  {
    tries: "what lies beneath a directory that a service's socket hands over",
    words: ['beneath-given', '/shown/directory', 'secret'],
    refused: ['EACCES'],
    shows: ({ directory }) => [{ bind: '/shown', from: join(directory, 'given'), writable: true }],
    weak: open,
  },
  {
    tries: "to write what a service's socket hands over for reading",
    words: ['write-given', '/shown/file'],
    refused: ['EACCES'],
    shows: ({ directory }) => [{ bind: '/shown', from: join(directory, 'given'), writable: true }],
    weak: { ...open, identity: { uid: 0, gid: 0 } },
  },
  { tries: 'a mark on its packets', words: ['mark'], refused: ['EPERM'], weak: holding('CAP_NET_ADMIN') },
  {
    tries: 'buffers beyond the limit',
    words: ['force-buffer'],
    refused: ['EPERM'],
    weak: holding('CAP_NET_ADMIN'),
    // sockopt_capable() of net/core/sock.c asks in the first user namespace.
    weakIn: ['root mode'],
  },
  { tries: 'to change a device', words: ['set-device'], refused: ['ENODEV'], weak: holding('CAP_NET_ADMIN') },
  ...(
    [
      ['devices-of-given', 'what devices it has', ['ENODEV'], open, undefined],
      ['set-device-of-given', 'to change its devices', ['ENODEV'], holding('CAP_NET_ADMIN'), ['root mode']],
      ['namespace-of-given', 'to enter it', ['EPERM'], holding('CAP_NET_ADMIN'), ['root mode']],
    ] as const
  ).map(([word, tries, refused, weak, weakIn]) => ({
    tries: `of the network of a socket that a service hands over: ${tries}`,
    words: [word, '/shown/socket'],
    refused,
    shows: ({ directory }: Scene) => [{ bind: '/shown', from: join(directory, 'given'), writable: true }],
    weak,
    ...(weakIn === undefined ? {} : { weakIn }),
  })),
  ...(
    [
      ['MPTCP', 2, 1, 262],
      ['UDP-Lite', 2, 2, 136],
      ['UDP-Lite', 10, 2, 136],
      ['SMC', 2, 1, 256],
      ['SCTP', 2, 1, 132],
    ] as const
  ).map(([name, ...numbers]) => ({
    tries: `a socket of the protocol ${name}, family ${numbers[0]}`,
    words: ['family', ...numbers.map(String)],
    refused: ['EPROTONOSUPPORT'],
    weak: open,
  })),
  ...['tls', 'smc', 'espintcp'].map((name) => ({
    tries: `the protocol ${name} on top of TCP`,
    words: ['upper-protocol', name],
    refused: ['ENOENT'],
    weak: open,
  })),
  { tries: 'IPsec in datagrams', words: ['encapsulate'], refused: ['ENOPROTOOPT'], weak: open },
  ...['4', '6'].map((version) => ({
    tries: `what is sent to a group of IPv${version}`,
    words: ['join-group', version],
    refused: ['ENODEV'],
    weak: open,
  })),
  ...['send', 'sendmsg', 'sendmmsg'].map((call) => ({
    tries: `a byte out of band, by ${call}`,
    words: ['out-of-band', call],
    refused: ['EOPNOTSUPP'],
    weak: open,
  })),
  {
    tries: 'to say by a message that it is root',
    words: ['forge-credentials'],
    refused: ['EPERM', 'EINVAL'],
    weak: { ...open, capabilities: ['CAP_SETUID', 'CAP_SETGID'] },
    weakIn: ['root mode'],
  },
  ...(['vsock', 'alg', 'bluetooth', 'can', 'xdp'] as const).map((name) => ({
    tries: `a socket of the family ${name}`,
    words: ['family', String(family[name]), name === 'alg' ? '5' : name === 'vsock' ? '1' : '3', '0'],
    refused: ['EAFNOSUPPORT'],
    weak: name === 'xdp' || name === 'can' ? holding('CAP_NET_RAW') : open,
  })),
  {
    tries: 'System V memory of the host',
    words: ({ shmKey }) => ['shm', String(shmKey)],
    refused: ['ENOENT'],
    weak: { ...open, namespaces: { ipc: 'host' } },
  },
])
