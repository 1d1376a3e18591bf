/** A socket as a row of a table: what to make, and the line by which Node.js is told of it. */
import { AF, SOCK } from '../kernel/flags.js'
import { pack, structs } from '../kernel/structs.js'
import type { NetworkSocket } from '../policy/networkSockets.js'
import { addressBytes } from '../policy/ipAddress.js'

/** Where in a row what is: an address of bind(2) or connect(2), numbers of 32 bits, and the line. */
export const socketRow = {
  size: 160,
  family: 0,
  addressSize: 28,
  type: 32,
  connects: 36,
  number: 40,
  textSize: 44,
  text: 48,
} as const

/** What Node.js is told in place of a socket of which this kernel has no kind: a message without one. */
export const absentLine = '-1\n'

/** What is made at an address: a socket that waits there, or one that connects to it. */
export interface SocketRequest extends Pick<NetworkSocket, 'protocol' | 'address' | 'port'> {
  readonly connects: boolean
  /** What Node.js gets with the socket. */
  readonly number: number
}

export function rowOf({ protocol, address, port, connects, number }: SocketRequest): Uint8Array {
  const v4 = address.family === 4
  const bytes = addressBytes(address)
  const bigEndian = Uint8Array.of(port >> 8, port & 0xff)
  const place = v4
    ? pack(structs.sockaddr_in, { sin_family: AF.INET, sin_port: bigEndian, sin_addr: bytes })
    : pack(structs.sockaddr_in6, { sin6_family: AF.INET6, sin6_port: bigEndian, sin6_addr: bytes })
  const text = Buffer.from(
    `${JSON.stringify({ cmd: 'NODE_HANDLE', ...kindOf(protocol, v4, connects), msg: number })}\n`,
  )
  const row = Buffer.alloc(socketRow.size)
  row.set(place)
  row.writeUInt32LE(place.length, socketRow.addressSize)
  // libuv sets no O_NONBLOCK on what it gets, and would wait in accept4(2).
  row.writeUInt32LE((protocol === 'tcp' ? SOCK.STREAM : SOCK.DGRAM) | SOCK.CLOEXEC | SOCK.NONBLOCK, socketRow.type)
  row.writeUInt32LE(connects ? 1 : 0, socketRow.connects)
  row.writeUInt32LE(number, socketRow.number)
  row.writeUInt32LE(text.length, socketRow.textSize)
  row.set(text, socketRow.text)
  return row
}

/** What Node.js makes of it. */
function kindOf(protocol: NetworkSocket['protocol'], v4: boolean, connects: boolean): object {
  if (protocol === 'udp') return { type: 'dgram.Socket', dgramType: v4 ? 'udp4' : 'udp6' }
  return { type: connects ? 'net.Socket' : 'net.Server' }
}
