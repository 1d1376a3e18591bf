/** Unix sockets in the new root, at which Node.js accepts: filesystemSteps.ts. */
import { faultAt } from '../policy/keys.js'
import { longestSocketPath } from '../policy/networkPaths.js'
import { PolicyError } from '../text/error.js'
import { hints } from './hints.js'
import type { Planner } from './planner.js'
import type { SocketAt } from './specification.js'
import type { Place } from './step.js'

/** @throws {PolicyError} where others may have put something on the way: bind(2) would follow their links, and the file would stay */
export function makeSocket(planner: Planner, { path: at, number, channel, key }: SocketAt): void {
  planner.make(at, 'file', (place) => {
    const fault = faultOf(at, place)
    if (fault !== undefined)
      throw new PolicyError([faultAt(key, `${fault}: choose another path inside, "unix:/host/path:/inside/path"`)])
    return {
      do: 'socket',
      place,
      number,
      channel,
      what: `make the socket ${at}`,
      why: 'Node.js accepts there, from outside, and connects to that of the host',
      hints: { ...hints.place, EADDRINUSE: hints.place.EEXIST },
    }
  })
}

function faultOf(at: string, { owned, path }: Place): string | undefined {
  if (!owned) return `${at} lies in no directory of the sandbox's own, as /tmp is`
  if (Buffer.byteLength(path) > longestSocketPath) return `${at} leads to a path that is too long for a socket`
  return undefined
}
