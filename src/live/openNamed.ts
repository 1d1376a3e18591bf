/** A named sandbox of a program's. It outlives the program; a network by name does not, for this process keeps it. */
import type { Server } from 'node:net'
import { awaitEnd } from './awaitEnd.js'
import { sandboxNamed } from './namedSandboxes.js'
import { type NetworkBeside, networkBeside } from './networkBeside.js'
import { serveNetwork } from './networkKeeper.js'
import { orEnd } from './orEnd.js'
import type { NamedStart } from './startSandbox.js'
import { startNamed } from './workBox.js'
import type { WorkOptions } from './workOptions.js'

/** @throws {VialError} when it cannot be started; nothing is left then. */
export async function openNamed(start: Omit<NamedStart, 'network'>, work?: WorkOptions): Promise<void> {
  let network: NetworkBeside | undefined
  await startNamed(
    {
      ...start,
      network: (policy, plan) => {
        const make = networkBeside(policy, plan)
        return make && (() => (network = make()))
      },
    },
    work,
  )
  const kept = network
  if (kept === undefined) return
  try {
    await orEnd(start.name, () => keep(start.name, kept))
  } catch (error) {
    kept.close()
    throw error
  }
}

async function keep(name: string, network: NetworkBeside): Promise<void> {
  const { home, found } = sandboxNamed(name)
  const server: Server = await serveNetwork(found.directory, network)
  // This process may end before: then there is nothing to close.
  void awaitEnd(home, name, Number.POSITIVE_INFINITY, false)
    .then(() => network.drained())
    .finally(() => {
      network.close()
      server.close()
    })
    .catch(() => {})
}
