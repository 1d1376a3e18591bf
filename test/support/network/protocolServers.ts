/** Servers of protocols that keep a connection, or have none. */
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { createServer as createHttp2 } from 'node:http2'
import { createServer } from 'node:net'
import { type ClientServer, listening } from './listening.js'

/** HTTP/2 without TLS ("prior knowledge", RFC 9113, 3.3). */
export const http2 = (): Promise<ClientServer> =>
  listening(createHttp2((request, response) => response.end(`${request.httpVersion} ${request.url}`)))

/** A method of gRPC that says the bytes that it gets backwards: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function grpc(): Promise<ClientServer> {
  const server = createHttp2()
  server.on('stream', (stream) => {
    const parts: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (bytes: Buffer) => parts.push(bytes))
    stream.on('end', () => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      const [prefix, said] = [Buffer.concat(parts).subarray(0, 5), Buffer.concat(parts).subarray(5)]
      stream.end(Buffer.concat([prefix, said.reverse()]))
    })
  })
  return listening(server)
}

/** RFC 6455: gives back each short text, behind one that nobody asked for. */
export function webSocket(): Promise<ClientServer> {
  const server = createHttp()
  const frame = (text: string) => Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)])
  server.on('upgrade', ({ headers }, socket) => {
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    socket.on('error', () => {})
    socket.write(
      [
        ...['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'],
        ...[`Sec-WebSocket-Accept: ${accept.digest('base64')}`, '', ''],
      ].join('\r\n'),
    )
    socket.write(frame('hello'))
    // One frame in a read: the client waits for each.
    socket.on('data', (bytes: Buffer) => {
      const [head, length] = [bytes[0]! & 0xf, bytes[1]! & 0x7f]
      const [mask, body] = [bytes.subarray(2, 6), bytes.subarray(6, 6 + length)]
      if (head === 8) socket.end(Buffer.from([0x88, 0]))
      else socket.write(frame(body.map((byte, at) => byte ^ mask[at % 4]!).toString()))
    })
  })
  return listening(server)
}

/** As a terminal's: it speaks first and unasked, and gives back each line, while both ways are in use. */
export function interleaved(): Promise<ClientServer> {
  return listening(
    createServer((socket) => {
      let said = 0
      const speak = () => {
        if (socket.destroyed || said === 1000) return
        socket.write(`s${said++}\n`)
        setImmediate(speak)
      }
      socket.on('error', () => {})
      socket.on('data', (bytes) => socket.write(bytes))
      speak()
    }),
  )
}

/** RFC 5905: an answer has in the place of the origin what the question said of its own time. */
export async function ntp(): Promise<ClientServer> {
  const socket = createSocket('udp4')
  socket.on('message', (question, { port, address }) => {
    const answer = Buffer.alloc(48)
    answer[0] = (4 << 3) | 4
    question.copy(answer, 24, 40, 48)
    socket.send(answer, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return { port: socket.address().port, close: () => socket.close() }
}
