/** The process that started a named sandbox keeps its network, and does there what other programs ask: keeperSocket.ts. */
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import * as v from 'valibot'
import { parseOptions } from '../policy/check.js'
import { destination } from '../policy/networkSchema.js'
import { object } from '../text/shapes.js'
import type { NetworkControl } from './boxNetwork.js'
import { atKeeperSocket, type KeeperAnswer, type KeptPlaces, lineOf, placesFile } from './keeperSocket.js'

const schema = object({ allow: v.optional(v.array(destination)), deny: v.optional(v.array(destination)) })
/** Milliseconds that one who asks may take for it. */
const patience = 10_000

/** Serves it until what it gives is closed. It does not keep this process from ending. */
export async function serveNetwork(directory: string, control: NetworkControl): Promise<Server> {
  const { ports, paths } = control
  const places: KeptPlaces = { ports, paths }
  writeFileSync(placesFile(directory), JSON.stringify(places))
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.unref()
    socket.on('error', () => {})
    socket.setTimeout(patience, () => socket.destroy())
    lineOf(socket)
      .then((line) => answerTo(line, control))
      .then(
        (answer) => socket.end(`${JSON.stringify(answer)}\n`),
        () => socket.destroy(),
      )
  })
  server.unref()
  await atKeeperSocket(
    directory,
    (path) => new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve)),
  )
  // Of a descriptor that this process may not have: the next who asks is served.
  server.on('error', () => {})
  return server
}

async function answerTo(line: string, control: NetworkControl): Promise<KeeperAnswer> {
  try {
    const { allow, deny } = parseOptions(schema, JSON.parse(line))
    if (allow !== undefined) await control.allow(allow)
    if (deny !== undefined) await control.deny(deny)
    return { summary: await control.summary() }
  } catch (error) {
    return { error: (error as Error).message, code: (error as NodeJS.ErrnoException).code }
  }
}
