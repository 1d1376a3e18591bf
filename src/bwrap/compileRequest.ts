/** The arguments of bwrap → vial. */
import { compilePlan } from '../compile/compilePlan.js'
import { installedFront } from './installedFront.js'
import { BwrapContradiction, type Ids } from './lowerRequest.js'
import { type Parsed, parse, type ReadFd } from './parseRequest.js'
import { bwrapPlan } from './planRequest.js'
import { BwrapError } from './state.js'

export interface CompiledBwrap {
  /** The executable: its arguments are the command and the command's arguments. */
  readonly bytes: Uint8Array
  /** How many leading arguments are options. */
  readonly options: number
  /** To be printed before each run. */
  readonly warnings: readonly string[]
}

/**
 * Compiles a command line that runs something.
 * @throws {BwrapError} in bwrap's words; also for one that only prints something, such as `--help`.
 */
export function compileBwrap(args: readonly string[], caller: Ids, readFd?: ReadFd): CompiledBwrap {
  const parsed = parse(args, readFd)
  if (parsed.kind !== 'run') throw new BwrapError(parsed.kind === 'usage' ? 'No command' : 'Nothing to run')
  return compileParsed(parsed, caller)
}

/** Compiles what was parsed, for this caller unless it is told another. */
export function compileParsed(
  parsed: Extract<Parsed, { kind: 'run' }>,
  caller: Ids = { uid: process.getuid!(), gid: process.getgid!() },
): CompiledBwrap {
  try {
    const { bytes } = compilePlan(bwrapPlan(parsed.request, caller), { again: installedFront() })
    const { options, warnings } = parsed
    return { bytes, options, warnings }
  } catch (error) {
    if (error instanceof BwrapContradiction) throw new BwrapError(error.message)
    throw error
  }
}
