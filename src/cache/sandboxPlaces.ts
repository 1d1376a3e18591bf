/** Where the directory of named sandboxes may lie. What can write there decides what the next `vial exec` executes. */
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { attempt } from '../text/attempt.js'
import { cacheDirectory } from './cacheDirectory.js'
import { isOwnDirectory } from './trust.js'

/** `$XDG_RUNTIME_DIR/vial`; else `/run/vial` for root, and `/run/user/UID/vial` where that is the user's own; else in the cache. */
export const sandboxPlace = (): string => runtimePlaces()[0] ?? join(cacheDirectory(), 'live')

/** Besides the cache. Where the directory above is another user's, no command looks: cache/trust.ts. */
export const trustedPlaces = (): readonly string[] =>
  runtimePlaces().filter((place) => {
    const above = attempt(() => statSync(dirname(place)))
    return above === undefined || above.uid === process.geteuid!()
  })

/** A command that is called from another environment may look in the second of two. */
function runtimePlaces(): readonly string[] {
  const { XDG_RUNTIME_DIR: named } = process.env
  const uid = process.geteuid!()
  const ofUser = uid === 0 ? '/run' : `/run/user/${uid}`
  // One that is not absolute is to be ignored: https://specifications.freedesktop.org/basedir-spec/latest
  const runtimes = [
    ...(named?.startsWith('/') ? [named] : []),
    ...(uid === 0 || isOwnDirectory(ofUser) ? [ofUser] : []),
  ]
  return runtimes.map((directory) => join(directory, 'vial'))
}
