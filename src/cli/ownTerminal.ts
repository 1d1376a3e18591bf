/** `-t`: a command in a terminal of its own, at the terminal of the caller. */
import { UsageError } from './commandLine.js'

interface Flags {
  readonly tty?: true
  readonly env?: readonly string[]
  readonly 'share-session'?: true
}

/** The flags, with the kind of the caller's terminal among the variables that are handed on. */
export async function atTerminal<Given extends Flags>(flags: Given): Promise<Given> {
  if (!flags.tty) return flags
  if (flags['share-session'])
    throw new UsageError(
      "-t: the command gets a terminal of its own, and with --share-session it has the caller's: leave one out",
    )
  if (!(await import('node:tty')).isatty(0)) throw new UsageError('-t: standard input is not a terminal: leave it out')
  return process.env.TERM === undefined ? flags : { ...flags, env: ['TERM', ...(flags.env ?? [])] }
}
