/**
 * The server that the network's streams are measured with, a process of its own beside the one that measures (and is the gate):
 * `sink` takes all that comes, `source` sends, `echo` gives back what it gets. It tells its ports, and of each stream the
 * nanoseconds from its connection to its end.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { withOnread } from '../../src/network/pump.js'

const block = Buffer.alloc(2 ** 20)
const blocks = Number(process.argv[2])

const took = (socket: Socket) => {
  const start = process.hrtime.bigint()
  socket.on('error', () => {})
  return () => process.send!({ took: Number(process.hrtime.bigint() - start) })
}

/** Reads into one buffer: what takes no more than the kernel's copy. */
function sink(accepted: Socket): void {
  let bytes = 0
  const socket = withOnread(accepted, {
    buffer: block,
    callback: (size) => {
      bytes += size
      if (bytes >= blocks * block.length) end()
      return true
    },
  })
  const done = took(socket)
  const end = () => {
    done()
    socket.end()
  }
  socket.resume()
}

function source(socket: Socket): void {
  const done = took(socket)
  let left = blocks
  const more = () => {
    while (left-- > 0) if (!socket.write(block)) return
    socket.end()
  }
  socket.on('drain', more)
  socket.on('close', done)
  socket.resume()
  more()
}

const echo = (socket: Socket) => {
  socket.on('error', () => {})
  socket.pipe(socket)
}

const listening = (options: object, serve: (socket: Socket) => void) =>
  new Promise<Server>((resolve) => {
    const server = createServer({ noDelay: true, ...options }, serve)
    server.listen(0, '127.0.0.1', () => resolve(server))
  })

const servers = [
  await listening({ pauseOnConnect: true }, sink),
  await listening({}, source),
  await listening({}, echo),
]
process.send!({ ports: servers.map((server) => (server.address() as { port: number }).port) })
process.on('disconnect', () => process.exit())
