/**
 * Where the process that keeps the network of a named sandbox hears what other programs ask: a unix socket in the sandbox's directory, which
 * is its user's alone. A request is one line of JSON, and so is its answer.
 */
import { closeSync, openSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { O_PATH } from '../cache/executable.js'
import type { NetworkSummary } from '../network/networkEvents.js'
import { HostError } from '../text/error.js'

/** Destinations as in a policy. */
export interface KeeperRequest {
  readonly allow?: readonly string[] | undefined
  readonly deny?: readonly string[] | undefined
}

export type KeeperAnswer =
  | { readonly summary: NetworkSummary }
  | { readonly error: string; readonly code?: string | undefined }

/** Characters of a line. */
const longest = 1 << 20

/** Where the sandbox is reached on the host. */
export interface KeptPlaces {
  readonly ports: readonly number[]
  readonly paths: readonly string[]
}

/** They are in there as JSON. */
export const placesFile = (directory: string) => join(directory, 'network-places')

/** The socket, by a path that is short enough for every directory: one of a unix socket has at most 107 bytes, unix(7). */
export async function atKeeperSocket<Value>(
  directory: string,
  action: (path: string) => Promise<Value>,
): Promise<Value> {
  const fd = openSync(directory, O_PATH)
  try {
    return await action(`/proc/self/fd/${fd}/network`)
  } finally {
    closeSync(fd)
  }
}

/** @throws {HostError} for what ends before its line does, or is longer than any */
export async function lineOf(socket: Socket): Promise<string> {
  let text = ''
  for await (const part of socket.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    text += part
    const end = text.indexOf('\n')
    if (end >= 0) return text.slice(0, end)
    if (text.length > longest) break
  }
  throw new HostError('no line came')
}
