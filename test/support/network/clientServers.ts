/** The servers of the tests of clients, by their names: a body that runs as another user has words only. */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type * as Vial from '../../../src/index.js'
import { postgres, redis } from './daemonServers.js'
import { fileServer } from './fileServer.js'
import type { ClientServer } from './listening.js'
import { grpc, http2, interleaved, ntp, webSocket } from './protocolServers.js'
import { apt, git, npm, pip, text } from './repositories.js'

/** A directory of its own below the caller's home, which the tests remove. */
const files = (fill: (directory: string) => void) => (): Promise<ClientServer> => {
  const directory = mkdtempSync(join(process.env.HOME!, 'served-'))
  fill(directory)
  return fileServer(directory)
}

const servers = {
  ...{ text: files(text), git: files(git), apt: files(apt), pip: files(pip), npm: files(npm) },
  ...{ grpc, http2, webSocket, interleaved, ntp, redis, postgres },
} satisfies Record<string, (vial: typeof Vial) => Promise<ClientServer>>

export type ServerName = keyof typeof servers

export const serve = (vial: typeof Vial, name: ServerName): Promise<ClientServer> => servers[name](vial)
