/** To which named sandbox layers belong: a file beside them names the directory of its record, and the record names theirs. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { requireOwn, trustedDirectory } from '../cache/trust.js'
import { replaceFile } from '../cache/wholeFile.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { findSandbox } from './findSandbox.js'
import { fateOf, identityText, type ProcessIdentity, parseIdentity } from './processes.js'

/** Of the directory in the cache that holds those of all work trees. */
export const layersName = 'layers'
/** Behind it comes the process that made them. No vial that knows only layers of processes removes them. */
export const namedPrefix = 'named.'
export const isNamed = (name: string): boolean => name.startsWith(namedPrefix)
export const namedPath = (path: string): string => join(dirname(path), namedPrefix + basename(path))

const fileName = 'owner.json'

export interface LayersOwner {
  /** The directory of its record. */
  readonly record: string
  /** Absent: it is still starting. */
  readonly monitor?: ProcessIdentity
}

export function writeOwner(layers: string, { record, monitor }: LayersOwner): void {
  const text = JSON.stringify({ record, ...(monitor === undefined ? {} : { monitor: identityText(monitor) }) })
  replaceFile(join(layers, fileName), Buffer.from(text), 0o600)
}

function readOwner(layers: string): LayersOwner | undefined {
  const fd = attempt(() =>
    openSync(join(layers, fileName), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK),
  )
  if (fd === undefined) return undefined
  try {
    const status = fstatSync(fd)
    if (!status.isFile() || status.uid !== process.geteuid!()) return undefined
    const { record, monitor } = JSON.parse(readFileSync(fd, 'utf8'))
    if (typeof record !== 'string') return undefined
    const identity = typeof monitor === 'string' ? parseIdentity(monitor) : undefined
    return { record, ...(identity === undefined ? {} : { monitor: identity }) }
  } catch {
    return undefined
  } finally {
    closeSync(fd)
  }
}

/** Whether there is a sandbox that has these layers, also where its record is not seen from here, as in another container. */
export function isWanted(layers: string): boolean {
  const owner = readOwner(layers)
  if (owner === undefined) return false
  if (owner.monitor !== undefined && fateOf(owner.monitor) !== 'dead') return true
  const { record } = owner
  try {
    const found = findSandbox(dirname(record), basename(record))
    if (found === undefined) return false
    if (found.state === 'unreadable') return true
    return 'record' in found && found.record?.work?.layers === layers
  } catch {
    return true
  }
}

/**
 * What a record says is a path, and what lies there may be something else by now.
 * @param record the directory of the record that names them
 * @throws {HostError} when they are not its layers, or not in a directory of the caller's alone
 */
export function requireLayers(layers: string, record: string): void {
  let why = 'it belongs to no record of this name'
  try {
    const real = trustedDirectory(layers, { missing: 'refuse' })
    requireOwn(layers, lstatSync(layers))
    const isPlace = basename(dirname(layers)) === layersName && isNamed(basename(layers))
    if (real === layers && isPlace && readOwner(layers)?.record === record) return
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    why = code === 'ENOENT' ? 'it is gone' : message
  }
  throw new HostError(printable(`${layers} cannot be used as the layers of the work tree: ${why}`), {
    hint: `"vial rm -f ${basename(record)}" ends the sandbox, and frees its name`,
  })
}
