/** The arguments of bwrap → vial. */
import { hostArchitecture } from '../host/thisHost.js'
import { launch } from '../launcher/launch.js'
import { assemble } from '../machine/assemble.js'
import { installedFront } from './installedFront.js'
import { type Parsed, parse, type ReadFd } from './parseRequest.js'
import { BwrapContradiction, bwrapPlan, type Ids } from './planRequest.js'
import { BwrapError } from './state.js'

export interface CompiledBwrap {
  /** The executable: its arguments are the command and the command's arguments. */
  readonly bytes: Uint8Array
  /** How many leading arguments are options. */
  readonly options: number
  /** To be printed before each run. */
  readonly warnings: readonly string[]
  /** Descriptors that options were read from: the vial is of what they gave this time. */
  readonly argsFds: readonly number[]
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

/** Compiles what was parsed. */
export function compileParsed(parsed: Extract<Parsed, { kind: 'run' }>, caller: Ids): CompiledBwrap {
  try {
    const architecture = hostArchitecture()
    const { program } = launch(bwrapPlan(parsed.request, caller), architecture, installedFront())
    const { options, warnings, argsFds } = parsed
    return { bytes: assemble(program, architecture), options, warnings, argsFds }
  } catch (error) {
    if (error instanceof BwrapContradiction) throw new BwrapError(error.message)
    throw error
  }
}
