/** Servers of this machine that requests of a sandbox come to, with certificates of an authority that the test has made. */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { TestContext } from 'node:test'
import { authorityCertificate, newKeys, serverCertificate } from '../../../src/network/certificate.js'
import { listening } from './listening.js'

export interface Seen {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly authorization: string | undefined
  readonly key: string | undefined
  readonly host: string | undefined
  readonly bytes: number
  /** Of the connection: the same for two requests on one. */
  readonly from: number | undefined
}

/** One answers each request with what it got of `authorization`, and one by TLS as `api.example.com`; both take WebSocket, and echo. */
export async function secureServer(t: TestContext) {
  const issuer = { name: 'outside', ...newKeys() }
  const keys = newKeys()
  const key = keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
  const seen: Seen[] = []
  const serve = (server: Server) => {
    server.on('request', async (asked: IncomingMessage, answer) => {
      let bytes = 0
      for await (const part of asked) bytes += (part as Buffer).length
      const { method, url, socket, headers } = asked
      const { authorization, host, 'x-key': given } = headers
      seen.push({ method, url, authorization, key: String(given), host, bytes, from: socket.remotePort })
      answer.setHeader('x-many', ['1', '2'])
      answer.end(`${asked.headers.authorization} ${bytes}\n`)
    })
    server.on('upgrade', ({ method, url, headers, socket }: IncomingMessage, client, head: Buffer) => {
      const { authorization, host } = headers
      seen.push({ method, url, authorization, key: undefined, host, bytes: 0, from: socket.remotePort })
      client.on('error', () => {})
      client.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
      client.write(head)
      client.pipe(client)
    })
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return listening(server)
  }
  const cert = serverCertificate(issuer, keys.publicKey, { name: 'api.example.com' })
  const { port: secure } = await serve(createSecureServer({ key, cert }) as unknown as Server)
  const { port: plain } = await serve(createServer())
  return { seen, secure, plain, authorities: authorityCertificate(issuer) }
}
