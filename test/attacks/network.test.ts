import { attacks, holding, open } from './attack.js'

const hostNetwork = { ...open, network: 'host' } as const
/** Numbers of address families and protocols, socket(2). */
const family = { netlink: 16, alg: 38, vsock: 40, bluetooth: 31, can: 29, xdp: 44 } as const

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
    refused: ['ECONNREFUSED', 'EPERM'],
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
  { tries: 'packets of all', words: ['packet'], refused: ['EPERM', 'EAFNOSUPPORT'], weak: holding('CAP_NET_RAW') },
  { tries: 'a port of a service', words: ['low-port'], refused: ['EACCES'], weak: holding('CAP_NET_BIND_SERVICE') },
  {
    tries: "the kernel's events (netlink)",
    words: ['family', String(family.netlink), '3', '15'],
    refused: ['EPERM', 'EAFNOSUPPORT'],
    weak: open,
  },
  {
    tries: 'audit (netlink)',
    words: ['family', String(family.netlink), '3', '9'],
    refused: ['EPERM', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'],
    weak: { never: 'a kernel may have none' },
  },
  ...(['vsock', 'alg', 'bluetooth', 'can', 'xdp'] as const).map((name) => ({
    tries: `a socket of the family ${name}`,
    words: ['family', String(family[name]), name === 'alg' ? '5' : name === 'vsock' ? '1' : '3', '0'],
    refused: ['EPERM', 'EAFNOSUPPORT'],
    weak: name === 'xdp' || name === 'can' ? holding('CAP_NET_RAW') : open,
  })),
  {
    tries: 'System V memory of the host',
    words: ({ shmKey }) => ['shm', String(shmKey)],
    refused: ['ENOENT'],
    weak: { ...open, namespaces: { ipc: 'host' } },
  },
])
