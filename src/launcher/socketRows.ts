/** A socket as a row of a table: what to make, and the line by which Node.js is told of it. */
import { AF, SOCK } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { InternetSocket } from '../policy/networkSockets.js'
import { addressBytes } from '../policy/ipAddress.js'

/** Where in a row what is: an address of bind(2) or connect(2), numbers of 32 bits, and the line. */
export const socketRow = {
  size: 216,
  family: 0,
  addressSize: 112,
  type: 116,
  connects: 120,
  number: 124,
  mode: 128,
  textSize: 132,
  text: 136,
} as const

/** What Node.js is told in place of a socket of which this kernel has no kind: a message without one. */
export const absentLine = '-1\n'

/** A unix socket: of a path, and of a mode where it is made there. */
export interface PathRequest {
  readonly protocol: 'unix'
  readonly path: string
  readonly mode: number
}

/** What is made at an address: a socket that waits there, or one that connects to it. */
export type SocketRequest = (Pick<InternetSocket, 'protocol' | 'address' | 'port'> | PathRequest) & {
  readonly connects: boolean
  /** What Node.js gets with the socket. */
  readonly number: number
}

export function rowOf(request: SocketRequest): Uint8Array {
  const { protocol, connects, number } = request
  const place = placeOf(request)
  const text = Buffer.from(`${JSON.stringify({ cmd: 'NODE_HANDLE', ...kindOf(request), msg: number })}\n`)
  const row = Buffer.alloc(socketRow.size)
  row.set(place)
  row.writeUInt32LE(place.length, socketRow.addressSize)
  // libuv sets no O_NONBLOCK on what it gets, and would wait in accept4(2).
  row.writeUInt32LE((protocol === 'udp' ? SOCK.DGRAM : SOCK.STREAM) | SOCK.CLOEXEC | SOCK.NONBLOCK, socketRow.type)
  row.writeUInt32LE(connects ? 1 : 0, socketRow.connects)
  row.writeUInt32LE(number, socketRow.number)
  row.writeUInt32LE(protocol === 'unix' ? request.mode : 0, socketRow.mode)
  row.writeUInt32LE(text.length, socketRow.textSize)
  row.set(text, socketRow.text)
  return row
}

function placeOf(request: SocketRequest): Uint8Array {
  if (request.protocol === 'unix')
    return pack(structs.sockaddr_un, { sun_family: AF.UNIX, sun_path: Buffer.from(request.path) })
  const { address, port } = request
  const bytes = addressBytes(address)
  const bigEndian = Uint8Array.of(port >> 8, port & 0xff)
  return address.family === 4
    ? pack(structs.sockaddr_in, { sin_family: AF.INET, sin_port: bigEndian, sin_addr: bytes })
    : pack(structs.sockaddr_in6, { sin6_family: AF.INET6, sin6_port: bigEndian, sin6_addr: bytes })
}

/** What Node.js makes of it. Of a unix socket it makes no server: it gives what is beneath one, live/pipeServer.ts. */
function kindOf(request: SocketRequest): object {
  if (request.protocol === 'udp')
    return { type: 'dgram.Socket', dgramType: request.address.family === 4 ? 'udp4' : 'udp6' }
  if (request.connects) return { type: 'net.Socket' }
  return { type: request.protocol === 'unix' ? 'net.Native' : 'net.Server' }
}
