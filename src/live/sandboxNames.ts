/** Names of sandboxes: each is the name of a directory, and a word of a command line. */
import { HostError, OptionError } from '../text/error.js'
import { didYouMean } from '../text/closest.js'
import { printable, quoted } from '../text/printable.js'

/** No slash, no control character, no hidden file, no flag. */
const form = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/

export const isSandboxName = (name: string) => form.test(name)

/** @throws {OptionError} */
export function checkSandboxName(name: string): void {
  // Of a caller without types: what a pattern is asked of becomes text first.
  if (typeof name !== 'string') throw new OptionError('the name of a sandbox must be text')
  if (isSandboxName(name)) return
  throw new OptionError(`${quoted(name, 64)} cannot be the name of a sandbox`, {
    hint: 'a name has 1 to 64 letters, digits, ".", "_" or "-", and begins with a letter, a digit or "_"',
  })
}

/** @param known the names that there are */
export function noSandbox(name: string, known: readonly string[]): HostError {
  const there = known.length === 0 ? 'there is none at all' : `there are ${known.join(', ')}`
  return new HostError(`there is no sandbox "${printable(name)}": ${there}${didYouMean(name, known)}`)
}
