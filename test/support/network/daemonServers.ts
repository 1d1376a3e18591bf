/** Real daemons, each in a sandbox of its own that publishes its port. */
import { connect } from 'node:net'
import { join } from 'node:path'
import type * as Vial from '../../../src/index.js'
import { postgresPrograms } from '../postgres.js'
import type { ClientServer } from './listening.js'

/** @param answers the bytes to say, to which the server says something as soon as it serves */
async function published(
  { sandbox }: typeof Vial,
  port: number,
  script: string,
  answers: Buffer,
): Promise<ClientServer> {
  const box = await sandbox({ preset: 'system', network: { publish: [`0:${port}`] } }).open()
  let log = ''
  let isOver = false
  const server = box.spawn('sh', ['-c', `${script} 2>&1`])
  server.stdout!.on('data', (bytes) => {
    log += bytes
  })
  void server.result.finally(() => {
    isOver = true
  })
  const [outside] = box.network.ports as [number]
  while (!(await saysSomething(outside, answers))) {
    if (isOver) throw new Error(log)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { port: outside, close: () => box.close() }
}

/** Whether a server gives an answer; it may not be there yet. */
async function saysSomething(port: number, question: Buffer): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  socket.write(question)
  try {
    for await (const _ of socket) return true
  } catch {}
  return false
}

export const redis = (vial: typeof Vial): Promise<ClientServer> =>
  published(vial, 6379, "redis-server --port 6379 --bind 127.0.0.1 --save ''", Buffer.from('PING\r\n'))

export function postgres(vial: typeof Vial): Promise<ClientServer> {
  const [initdb, server] = ['initdb', 'postgres'].map((name) => join(postgresPrograms()!, name))
  const make = `${initdb} -D data -U vial -A trust -E UTF8 --locale=C --no-sync`
  // PostgreSQL's SSLRequest is answered by one byte: https://www.postgresql.org/docs/current/protocol-message-formats.html
  const question = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])
  return published(vial, 5432, `${make} && exec ${server} -D data -k /tmp -h 127.0.0.1 -c fsync=off`, question)
}
