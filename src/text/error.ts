/**
 * What the library throws: one class for each kind of cause, which is what a caller decides by. The class holds also for an error of
 * another copy of this file: the library as CommonJS, the command's bundles, a program that was bundled with it.
 */
import { type Names, policyNames, type Said, tell } from './words.js'

/** Where it went wrong; one class has each. docs/library.md has the table. */
export type Stage = 'policy' | 'options' | 'host' | 'limits' | 'sandbox' | 'command' | 'abort'

/** What a vial, and a command that runs one, exits with where there was no command to have a status: as docker run(1) and sh(1) have it. */
export const exitStatuses = { sandbox: 125, cannotExecute: 126, notFound: 127 } as const

/** The same, of an error. */
export function exitStatusOf({ stage, code }: Pick<VialError, 'stage' | 'code'>): number {
  if (stage !== 'command') return exitStatuses.sandbox
  return code === 'ENOENT' ? exitStatuses.notFound : exitStatuses.cannotExecute
}

/** What is known of an error besides its text. */
export interface ErrorDetails {
  /** The errno's name, such as `ENOENT`; of an AbortError `ABORT_ERR`. */
  readonly code?: string | undefined
  /** What to do next; it is the last part of `message`, too. */
  readonly hint?: string | undefined
  /** The error behind it. */
  readonly cause?: unknown
}

/** The same in every copy of this file. */
const brand = Symbol.for('vial.error')

/** The same, with sentences that name keys of a policy as data. */
type Details = Omit<ErrorDetails, 'hint'> & { readonly hint?: Said | undefined }

type ErrorClass = (abstract new (...args: never[]) => Error) & { readonly prototype: Error }
const ordinaryHasInstance = Function.prototype[Symbol.hasInstance]

/** Any error of vial's: its class, or its `stage`, says of which kind. */
export abstract class VialError extends Error {
  /** Where it went wrong: the same distinction as by class, for a `switch`. */
  abstract readonly stage: Stage
  /** The name of the errno that the kernel gave, such as `ENOENT`; of an AbortError `ABORT_ERR`. Absent where there is none. */
  declare readonly code?: string
  /** What to do next. `message` ends with it. Absent where there is nothing to advise. */
  declare readonly hint?: string

  readonly #said: (names: Names) => Sentences

  /** @internal */
  constructor(said: Said | ((names: Names) => string), { code, hint, ...rest }: Details = {}) {
    const told = (names: Names): Sentences => ({
      text: typeof said === 'function' ? said(names) : tell(said, names),
      // A hint that only the writer of a policy could follow comes to nothing for others.
      hint: hint === undefined ? undefined : tell(hint, names) || undefined,
    })
    super(messageOf(told(policyNames)), rest)
    this.#said = told
    if (code !== undefined) this.code = code
    const own = told(policyNames).hint
    if (own !== undefined) this.hint = own
  }

  /**
   * Says the same to a reader who knows the policy by other names: in `message` and `hint`.
   * @internal
   */
  speak(names: Names): this {
    const told = this.#said(names)
    this.message = messageOf(told)
    if (told.hint === undefined) delete (this as { hint?: string }).hint
    else (this as { hint?: string }).hint = told.hint
    return this
  }

  /** @internal */
  get [brand](): Stage {
    return this.stage
  }
}

interface Sentences {
  readonly text: string
  readonly hint: string | undefined
}

const messageOf = ({ text, hint }: Sentences) => (hint === undefined ? text : `${text}\n      ${hint}`)

/** One fault of a policy. As text: `limits.memory: must not be 0`. */
export class Fault {
  /** What is wrong there. */
  readonly message: string
  readonly #said: Said

  /** @internal */
  constructor(
    /** Where in the policy, such as `limits.memory` or `filesystem[3].bind`; `policy`: the whole of it. */
    readonly path: string,
    said: Said,
  ) {
    this.#said = said
    this.message = String(said)
  }

  /** `path: message`. */
  toString(): string {
    return this.tell(policyNames)
  }

  /** @internal */
  tell(names: Names): string {
    return `${names.at(this.path)}: ${tell(this.#said, names)}`
  }
}

/** The policy has faults. `faults` has them all. */
export class PolicyError extends VialError {
  readonly stage = 'policy'

  /** @internal */
  constructor(
    /** Each with its path in the policy, and what is wrong there. */
    readonly faults: readonly Fault[],
    details?: Details,
  ) {
    super((names) => listed(faults.map((fault) => fault.tell(names))), details)
  }
}

function listed(faults: readonly string[]): string {
  return faults.length === 1
    ? faults[0]!
    : `the policy has ${faults.length} faults:\n${faults.map((fault) => `  ${fault}`).join('\n')}`
}

/** An option of `run` or `spawn` cannot be used: the message names it. */
export class OptionError extends VialError {
  readonly stage = 'options'

  /**
   * About one option.
   * @internal
   */
  static at(fault: Fault): OptionError {
    return new OptionError((names) => fault.tell(names))
  }
}

/** This machine or this process cannot do it, whatever the policy: no cache, no room for a process, no /proc. */
export class HostError extends VialError {
  readonly stage = 'host'
}

/** The policy has limits, and there is no cgroup to hold the sandbox to them, or it cannot be used. */
export class LimitsError extends VialError {
  readonly stage = 'limits'

  /**
   * About one limit.
   * @internal
   */
  static at(fault: Fault, details?: Details): LimitsError {
    return new LimitsError((names) => fault.tell(names), details)
  }
}

/** The sandbox could not be made: the message says which step failed. The command was not started. */
export class SandboxError extends VialError {
  readonly stage = 'sandbox'
}

/** The sandbox was made, and the command cannot be executed in it: `code` is `ENOENT` where it is not there. */
export class CommandError extends VialError {
  readonly stage = 'command'
}

/** By which a class knows its errors of another copy of this file. */
const stages = new Map<ErrorClass, Stage>()

function hasInstance(this: ErrorClass, value: unknown): boolean {
  if (ordinaryHasInstance.call(this, value)) return true
  const stage = (value as { [brand]?: unknown } | null | undefined)?.[brand]
  // Not of classes that others derive from these: of those there is no other copy.
  return stage !== undefined && (this === VialError || stages.get(this) === stage)
}

Object.defineProperty(VialError, Symbol.hasInstance, { value: hasInstance })

/** Each class is told its stage and, as a bundle may shorten the names of classes, its name. */
export function declareKind(kind: ErrorClass, name: string, stage: Stage): void {
  stages.set(kind, stage)
  // Where the first line of `stack` finds it, which is written by the constructor of Error.
  Object.defineProperty(kind.prototype, 'name', { value: name, configurable: true, writable: true })
}

declareKind(PolicyError, 'PolicyError', 'policy')
declareKind(OptionError, 'OptionError', 'options')
declareKind(HostError, 'HostError', 'host')
declareKind(LimitsError, 'LimitsError', 'limits')
declareKind(SandboxError, 'SandboxError', 'sandbox')
declareKind(CommandError, 'CommandError', 'command')
