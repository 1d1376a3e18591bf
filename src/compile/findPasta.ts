/** What a private network needs of this host, asked before anything is started: pasta(1), which connects it. */
import { constants } from 'node:fs'
import { byRoot } from '../cgroup/privilege.js'
import { findProgram } from '../fill/findProgram.js'
import { setting } from '../policy/keys.js'
import { mayAccess } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import type { Repair } from '../text/repair.js'
import { words } from '../text/words.js'

const device = '/dev/net/tun'

/** Where it is; or what is missing. */
export function askPasta(): { readonly program: string } | ({ readonly missing: string } & Repair) {
  const program = findProgram('pasta')
  if (program === undefined)
    return {
      missing: 'pasta is not installed',
      repair: byRoot(
        'sudo apt-get install passt  (Fedora: sudo dnf install passt; Alpine: sudo apk add passt)',
        'files',
      ),
    }
  if (!mayAccess(device, constants.F_OK))
    return { missing: `there is no ${device}`, repair: byRoot('sudo modprobe tun', 'kernel') }
  if (!mayAccess(device, constants.R_OK | constants.W_OK))
    return { missing: `this user may not open ${device}`, repair: byRoot(`sudo chmod 666 ${device}`, 'kernel') }
  return { program }
}

/** @throws {HostError} where there is none, or it cannot work */
export function requirePasta(): string {
  const asked = askPasta()
  if ('program' in asked) return asked.program
  throw new HostError(words`${setting('network', 'private')} needs pasta, of the package passt: ${asked.missing}`, {
    hint: asked.repair,
  })
}
