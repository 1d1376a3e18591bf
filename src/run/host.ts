import type { Architecture } from '../kernel/architecture.js'

/** This machine's architecture. */
export function hostArchitecture(): Architecture {
  if (process.arch === 'x64' || process.arch === 'arm64') return process.arch
  throw new Error(`vial does not know the architecture ${process.arch}: it compiles for x64 and arm64`)
}
