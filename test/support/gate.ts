/**
 * A gateway without a sandbox. Sockets of the host's loopback stand for those that wait inside: what connects to one is taken for a
 * program that connected to an address inside, which the test chooses.
 */
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { Gateway } from '../../src/network/gateway.js'
import type { GatewayOptions } from '../../src/network/gatewayOptions.js'
import { parseAddress } from '../../src/policy/ipAddress.js'
import type { NetworkEvent } from '../../src/policy/networkCalls.js'
import { parseDestination } from '../../src/policy/networkRules.js'
import { eventually } from './processes.js'

export const portOf = (server: Server) => (server.address() as AddressInfo).port

/** A server outside, whose connections may end one way, and what it accepted. */
export async function serve(t: TestContext, serve: (socket: Socket) => void = () => {}) {
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { port: portOf(server), sockets, server }
}

/** A socket for datagrams, outside or a program's. */
export async function datagrams(t: TestContext, host = '127.0.0.1'): Promise<Datagrams> {
  const socket = createSocket('udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  t.after(() => socket.close())
  return socket
}

export async function gate(t: TestContext, allow: readonly string[], options: GatewayOptions = {}) {
  const events: NetworkEvent[] = []
  const sockets: Socket[] = []
  const rules = { allow: allow.map((one) => parseDestination(one)!), deny: [] }
  const resolve = async () => ['127.0.0.1']
  const gateway = new Gateway(rules, { resolve, onEvent: (event) => events.push(event), ...options })
  t.after(() => {
    gateway.close()
    for (const socket of sockets) socket.destroy()
  })
  const insideOf = (host: string) => gateway.addressesOf(host)?.v4 ?? host

  /** Where a program connects that wants this name, or this address, and this port. */
  const tcp = async (host: string, port: number): Promise<number> => {
    const server = createServer()
    // Before the gateway looks where it was connected to.
    server.on('connection', (socket) => {
      Object.defineProperty(socket, 'localAddress', { value: parseAddress(host) === undefined ? insideOf(host) : host })
      Object.defineProperty(socket, 'localPort', { value: port })
    })
    server.listen(0, '127.0.0.2')
    await once(server, 'listening')
    gateway.take({ protocol: 'tcp', role: 'destination', address: parseAddress('127.0.0.2')!, port }, server)
    return portOf(server)
  }
  /** A program that connects to one of these: it may be reset before it knows that it is connected. */
  const program = (at: number): Socket => {
    const socket = connect({ host: '127.0.0.2', port: at, allowHalfOpen: true })
    socket.on('error', () => {})
    sockets.push(socket)
    return socket
  }
  /** The same for datagrams. */
  const udp = async (host: string, port: number, own = '127.0.0.2') => {
    const socket = createSocket('udp4')
    socket.bind(0, own)
    await once(socket, 'listening')
    const inside = parseAddress(parseAddress(host) === undefined ? insideOf(host) : host)!
    gateway.take({ protocol: 'udp', role: 'destination', address: inside, port }, socket)
    return socket.address().port
  }
  /** The event of this kind with this number, 0 the first. */
  const told = async (event: NetworkEvent['event'], index = 0): Promise<NetworkEvent> => {
    const seen = await eventually(
      () => events.filter((one) => one.event === event),
      (all) => all.length > index,
    )
    return seen[index]!
  }
  return { gateway, events, tcp, udp, program, told }
}

/** All that comes until the end; rejects with the error that ends it. The other way stays as it is. */
export const textOf = (socket: Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes
    })
    socket.once('end', () => resolve(text))
    socket.once('error', reject)
  })

/** The code of the error that ends a socket; `closed` without one. */
export const endOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let code = 'closed'
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message
    })
    socket.once('close', () => resolve(code))
    socket.resume()
  })

/** Waits until a number grows no more: what it counts is held up by something. */
export async function settled(number: () => number): Promise<number> {
  let [last, times] = [-1, 0]
  return eventually(number, (now) => {
    times = now === last ? times + 1 : 0
    last = now
    return times > 30
  })
}
