/** Where the package's own `vial-bwrap` is, and what is there. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { sources } from '../host/packagePlace.js'
import { attempt } from '../text/attempt.js'

/** The package's own command, which npm links. */
export const frontPath = join(dirname(sources), 'bin/vial-bwrap')

/** The front, for a payload that executes /proc/self/exe; undefined where it stayed a script. */
export function installedFront(): Uint8Array | undefined {
  const bytes = attempt(() => readFileSync(frontPath))
  return bytes?.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1')) ? bytes : undefined
}
