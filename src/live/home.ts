/** The directory that holds a directory for each named sandbox of this user: where it is, and that only this user can use it. */
import { lstatSync, readdirSync } from 'node:fs'
import { sandboxPlace } from '../cache/sandboxPlaces.js'
import { trustedDirectory, type Walk } from '../cache/trust.js'
import { systemFault } from '../kernel/systemError.js'
import { HostError } from '../text/error.js'
import { isSandboxName } from './sandboxNames.js'

/**
 * The directory's real path; it is made when it is not there.
 * @throws {HostError} when another user could read or change what lies there; the message says what to do
 */
export function sandboxHome(): string {
  return homeBy('make')!
}

/** The same; undefined when it is not there. */
export function existingHome(): string | undefined {
  return homeBy('refuse')
}

function homeBy(missing: NonNullable<Walk['missing']>): string | undefined {
  const path = sandboxPlace()
  try {
    const real = trustedDirectory(path, { missing })
    // What a policy and its environment say is for this user only.
    if ((lstatSync(real).mode & 0o077) === 0) return real
    throw new HostError(`others can look into ${real}`, { hint: `chmod 700 ${real}` })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof HostError) throw error
    if (code === 'ENOENT' && missing === 'refuse') return undefined
    throw new HostError(`named sandboxes cannot be kept in ${path}: ${systemFault(error)}`, {
      code,
      hint: 'set XDG_RUNTIME_DIR to a directory of yours that no other user can use',
      cause: error,
    })
  }
}

/** The names of sandboxes there, in whichever state: none of them is looked into. */
export const sandboxNames = (home: string | undefined): string[] =>
  home === undefined ? [] : namesIn(home).filter(isSandboxName)

/** What lies there, reservations that are not yet made included: their names begin with a dot. */
export function namesIn(home: string): string[] {
  return readdirSync(home).sort()
}
