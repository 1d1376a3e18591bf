/**
 * The journal of a commit: what is to be done is written down in the layer before the first change. When the process is killed, the next one
 * that looks after the layers does the rest, and the commit is whole. A change is only made where the host still has what it had, or has nothing;
 * what was changed there since stays as it is.
 *
 * That a process is killed loses nothing that it wrote; that the machine is switched off may. So the journal is forced to the disk, but
 * not what the layer holds: after a boot nothing is written from it, and only what was begun is removed.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { attempt } from '../text/attempt.js'
import { asDigits, digits } from '../text/bigJson.js'
import { HostDirectory } from './hostDirectory.js'
import { bootId } from './processes.js'
import type { Found, HostStatus } from './workChanges.js'
import { applyChanges, removeTemporaries, type Sides } from './workCommit.js'

/** The directory of the host that is written to. */
export interface Top {
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/** What became of a commit that was killed. */
export interface Finished {
  readonly path: string
  readonly changes: number
  /** Paths that were changed on the host since, or cannot be written. */
  readonly left: readonly string[]
}

const fileName = 'journal'
const status = v.object({ ino: digits, mode: digits, size: digits, rdev: digits, mtimeNs: digits, ctimeNs: digits })
const kind = v.picklist(['added', 'changed', 'removed'])
const type = v.picklist(['file', 'directory', 'link', 'fifo', 'socket', 'device'])
const schema = v.object({
  boot: v.string(),
  token: v.pipe(v.string(), v.regex(/^[0-9a-f]{16}$/)),
  overwrites: v.boolean(),
  path: v.string(),
  dev: digits,
  ino: digits,
  uppers: v.pipe(v.array(v.string()), v.minLength(1)),
  found: v.array(
    v.object({
      names: v.array(v.pipe(v.string(), v.regex(/^[^/]+$/))),
      change: v.object({
        path: v.string(),
        kind,
        type,
        size: v.number(),
        mode: v.number(),
      }),
      host: v.optional(status),
      layer: v.pipe(v.number(), v.integer(), v.minValue(0)),
    }),
  ),
})

/** @throws {HostError} when the host refuses a change; those before it are made, and nothing is left to be finished */
export function commitJournaled(
  layer: string,
  { path, dev, ino }: Top,
  sides: Omit<Sides, 'token' | 'leaves'>,
  /** Below the layer. */
  uppers: readonly string[],
  found: readonly Found[],
  /** Is called when all is done, or refused, while it can still be finished by another process. */
  over: () => void = () => {},
): void {
  const token = randomBytes(8).toString('hex')
  const kept = ({ ino, mode, size, rdev, mtimeNs, ctimeNs }: HostStatus) => ({
    ino,
    mode,
    size,
    rdev,
    mtimeNs,
    ctimeNs,
  })
  const lines = found.map(({ names, change, host, layer }) => ({
    names: names.map((name) => name.toString('latin1')),
    change,
    layer,
    ...(host === undefined ? {} : { host: kept(host) }),
  }))
  const journal = { boot: bootId(), token, overwrites: sides.overwrites, path, dev, ino, uppers, found: lines }
  const text = JSON.stringify(journal, asDigits)
  const file = join(layer, fileName)
  const fd = openSync(`${file}.new`, 'w', 0o600)
  try {
    writeFileSync(fd, text)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${file}.new`, file)
  try {
    applyChanges({ ...sides, token }, found)
  } finally {
    over()
    unlinkSync(file)
  }
}

/** Does what a commit that was killed has left to do, and only what is sure to be as it was then. Undefined: there was none. */
export function finishCommit(layer: string, over: (finished: Finished) => void = () => {}): Finished | undefined {
  const file = join(layer, fileName)
  const text = attempt(() => readFileSync(file, 'utf8'))
  const read = text === undefined ? undefined : attempt(() => v.parse(schema, JSON.parse(text)))
  if (read === undefined) return undefined
  const { path, token, overwrites } = read
  const found = read.found.map(({ names, change, host, layer }): Found => {
    const bytes = names.map((name) => Buffer.from(name, 'latin1'))
    return { names: bytes, change, host, layer, isSure: true }
  })
  const left: string[] = []
  const open: HostDirectory[] = []
  try {
    const host = HostDirectory.at(path)
    open.push(host)
    const { dev, ino } = host.own()
    const isSame = dev === read.dev && ino === read.ino
    if (isSame && read.boot !== bootId()) removeTemporaries(host, found, token)
    if (!isSame || read.boot !== bootId()) left.push(...found.map(({ change }) => change.path))
    else {
      const uppers = read.uppers.map((name) => {
        const upper = HostDirectory.at(join(layer, name))
        open.push(upper)
        return upper
      })
      applyChanges({ host, uppers, overwrites, token, leaves: ({ change }) => left.push(change.path) }, found)
    }
  } catch {
    left.push(...found.map(({ change }) => change.path))
  } finally {
    for (const directory of open) directory.close()
  }
  const finished = { path, changes: found.length, left: [...new Set(left)] }
  over(finished)
  unlinkSync(file)
  return finished
}
