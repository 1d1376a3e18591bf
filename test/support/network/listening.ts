/** A server of the test's own process that a client in a sandbox reaches by a name. */
import { once } from 'node:events'
import type { Server } from 'node:net'

export interface ClientServer {
  readonly port: number
  close(): unknown
}

/** Listens at a port of the host's loopback that is free. */
export async function listening(server: Server): Promise<ClientServer> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as { port: number }).port, close: () => server.close() }
}
