/**
 * The file of a unix socket that is published on the host: made with the mode 0600, and removed when the sandbox ends, or this process. One that
 * is there already stays, unless it is a socket of this user's at which no program listens any more: that of a process that was killed.
 */
import { lstatSync, type Stats, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { NetworkListener } from './networkListener.js'

/** Milliseconds in which a program that has just made its socket listens. */
const patience = 50

/** Those that are there now. */
const made = new Set<() => void>()
const removeAll = () => {
  for (const remove of made) remove()
}

export interface HostSocket {
  readonly server: Server
  /** Removes its file; not that of another, at the same path. Never throws. */
  remove(): void
}

/**
 * @param listener makes it, on the host
 * @throws {HostError} with the errno's name as its code
 */
export async function openHostSocket(listener: NetworkListener, path: string): Promise<HostSocket> {
  const make = () => listener.make({ protocol: 'unix', path, mode: 0o600, connects: false })
  const server = await make().catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !(await removeStale(path))) throw error
    return make()
  })
  const own = look(path)
  const remove = () => {
    made.delete(remove)
    if (made.size === 0) process.off('exit', removeAll)
    if (own?.isSocket() && own.uid === process.geteuid!() && isSame(own, look(path))) unlink(path)
  }
  if (made.size === 0) process.on('exit', removeAll)
  made.add(remove)
  return { server: server as Server, remove }
}

/** Whether there was one, and it is gone. */
async function removeStale(path: string): Promise<boolean> {
  const found = look(path)
  if (found === undefined || !found.isSocket() || found.uid !== process.geteuid!()) return false
  if (!(await refuses(path))) return false
  await setTimeout(patience)
  return (await refuses(path)) && isSame(found, look(path)) && unlink(path)
}

const refuses = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'))
  })

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

const isSame = (one: Stats | undefined, other: Stats | undefined): boolean =>
  one !== undefined && other !== undefined && one.dev === other.dev && one.ino === other.ino

function unlink(path: string): boolean {
  try {
    unlinkSync(path)
    return true
  } catch {
    return false
  }
}
