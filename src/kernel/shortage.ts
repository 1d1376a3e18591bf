/** Errors that say nothing of what was asked for: this process, or this host, has no descriptor or no memory left just now, or no large files. */
import { HostError } from '../text/error.js'
import { systemFault, systemHints } from './systemError.js'

const shortages: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EFBIG']

/** Of Node's, or of {@link shortageError}. */
export const isShortage = (error: unknown): boolean => shortages.includes((error as NodeJS.ErrnoException).code)

export function shortageError(error: unknown): HostError {
  if (error instanceof HostError) return error
  const { code } = error as NodeJS.ErrnoException
  return new HostError(systemFault(error), { code, hint: systemHints[code ?? ''], cause: error })
}

/**
 * What an action gives that looks at something; undefined where it cannot be seen. Answers such as that a process has ended are drawn from
 * that, and so a shortage is no such answer.
 * @throws {HostError} about a shortage
 */
export function ifSeen<Value>(action: () => Value): Value | undefined {
  try {
    return action()
  } catch (error) {
    if (isShortage(error)) throw shortageError(error)
    return undefined
  }
}

/** What an action gives that has no words of its own for a shortage. */
export async function tellingShortage<Value>(action: () => Promise<Value>): Promise<Value> {
  try {
    return await action()
  } catch (error) {
    throw isShortage(error) ? shortageError(error) : error
  }
}
