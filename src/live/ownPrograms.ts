/** Programs of vial's own that enter a sandbox for a while, each the same for all of them, or for all of a kind. */
import { openStored } from '../cache/contentVials.js'
import type { OpenVial } from '../cache/executable.js'
import { hostArchitecture } from '../host/thisHost.js'
import type { Architecture } from '../kernel/architecture.js'
import { assemble } from '../machine/assemble.js'
import type { Program } from '../machine/instruction.js'

/** Opens one, for each start; it is assembled once. */
export function ownProgram(program: (architecture: Architecture) => Program): () => OpenVial {
  let bytes: Uint8Array | undefined
  return () => {
    bytes ??= assemble(program(hostArchitecture()), hostArchitecture())
    return openStored(bytes)
  }
}

/** The same of one that is another for each kind of sandbox, which is plain data. */
export function ownPrograms<Kind>(
  program: (architecture: Architecture, kind: Kind) => Program,
): (kind: Kind) => () => OpenVial {
  const opened = new Map<string, () => OpenVial>()
  return (kind) => {
    const name = JSON.stringify(kind)
    const open = opened.get(name) ?? ownProgram((architecture) => program(architecture, kind))
    opened.set(name, open)
    return open
  }
}
