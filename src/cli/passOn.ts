/** Hands on what a payload writes to a pipe of ours, as a limit of output has it, to the caller's own stream. */
import { constants, createWriteStream, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Ends when all is written, or when there is no reader any more: then the payload's pipe is closed, too. */
export async function passOn(from: Readable, fd: 1 | 2): Promise<void> {
  const { to, end } = writer(fd)
  await pipeline(from, to, { end }).catch(() => {})
}

/** No stream of Node's over a pipe that others share: see text/write.ts. */
function writer(fd: 1 | 2): { to: Writable; end: boolean } {
  const status = fstatSync(fd)
  if (status.isFile()) return { to: createWriteStream('', { fd, autoClose: false }), end: true }
  if (status.isFIFO()) {
    try {
      // An open file of its own.
      const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
      return { to: new Socket({ fd: own, readable: false, writable: true }), end: true }
    } catch {
      // Another user's pipe, as under sudo(8).
    }
  }
  return { to: fd === 1 ? process.stdout : process.stderr, end: false }
}
