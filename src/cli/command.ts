/** What a command is: a row of a table. */
import type { Offer } from './offers.js'
import type { FlagsOf, Option } from './policyFlags.js'

export interface Command<Options extends readonly Option[] = readonly Option[]> {
  readonly name: string
  /** One line for the list of commands. */
  readonly about: string
  /** What follows the flags, for help. */
  readonly takes?: string
  /**
   * How many words may follow; `command`: at least one, and whatever follows it is the command's own; `all`: what follows,
   * flags too, is read by the command itself.
   */
  readonly words: number | 'command' | 'all'
  /** What completion in a shell offers as each of these words, before a command; the last is for those behind it, too. Default: nothing. */
  readonly offers?: readonly Offer[]
  /** Whether a command line may follow `--`, behind those words. */
  readonly takesCommand?: true
  readonly options: Options
  /** It is about a sandbox that runs: what flags of that one, as this command has them, say of all in it. */
  readonly flagsOfStart?: string
  /** Paragraphs, one a line. */
  readonly detail?: readonly string[]
  /** A command line and what it does. */
  readonly examples: readonly (readonly [line: string, about: string])[]
  readonly statuses: readonly (readonly [status: string, about: string])[]
  readonly action: (
    flags: FlagsOf<Options>,
    words: readonly string[],
    behind: readonly string[],
  ) => void | Promise<void>
}

/** Keeps the flags' types while the command is written down. */
export const command = <const Options extends readonly Option[]>(one: Command<Options>) => one as unknown as Command
