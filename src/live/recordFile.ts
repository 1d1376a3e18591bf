/**
 * What is written down of a sandbox that has a name, in `record.json` of its directory. It is written whole, once, when the sandbox runs.
 * Only this user can write there; what is read is checked all the same, for a full disk or another version of vial may have left it.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { replaceFile } from '../cache/wholeFile.js'
import { ownerOf } from '../cgroup/owner.js'
import type { NamespaceName } from '../kernel/namespaces.js'
import { type SignalName, signals } from '../kernel/signals.js'
import { ifSeen, isShortage, shortageError } from '../kernel/shortage.js'
import { systemFault } from '../kernel/systemError.js'
import { withoutValues } from '../policy/networkSecrets.js'
import type { Policy } from '../policy/schema.js'
import { bootId } from './processes.js'

export interface SandboxRecord {
  readonly version: 1
  readonly name: string
  /** The process that stays outside; with `boot` and `view` it is a ProcessIdentity. */
  readonly monitor: { readonly pid: number; readonly start: string }
  readonly boot: string
  readonly view: string
  /** The pid of init, as it is outside. */
  readonly init: number
  /** Inodes of the namespaces that are not the caller's. */
  readonly namespaces: Readonly<Partial<Record<NamespaceName, number>>>
  /** As it was given, with the defaults that the start added. */
  readonly policy: Policy
  /** The directory that relative paths in the policy start from. */
  readonly base: string
  /** What of writable entries is laid over read-only: paths that the next run trusts, besides vial, its cache and Node.js. */
  readonly trusted?: readonly string[]
  /** Absent: an empty sandbox that is held open. */
  readonly command?: readonly string[]
  /** What asks the command to end; absent: SIGTERM. */
  readonly stopSignal?: SignalName
  /** When it was started: ISO 8601. */
  readonly created: string
  /** Where its cgroup lies: a directory, or one in each hierarchy. */
  readonly group?: RecordedGroup
  /** What its work tree is made of: a directory, with all that is known of it. */
  readonly work?: { readonly layers: string }
}

export interface RecordedGroup {
  readonly version: 1 | 2
  readonly paths: readonly string[]
}

export type RecordWithWork = SandboxRecord & { readonly work: NonNullable<SandboxRecord['work']> }

const recordName = 'record.json'
/** Bytes. A policy is at most some kilobytes. */
const most = 2 ** 20

export function writeRecord(directory: string, record: SandboxRecord): void {
  const written = { ...record, policy: withoutValues(record.policy) }
  replaceFile(join(directory, recordName), Buffer.from(`${JSON.stringify(written, null, 2)}\n`), 0o600)
}

/** Where the cgroup of one that is being started is to lie, before it is made: with it a starter that is killed leaves it behind. */
const groupName = 'group.json'

export function writeGroup(directory: string, group: RecordedGroup): void {
  replaceFile(join(directory, groupName), Buffer.from(JSON.stringify(group)), 0o600)
}

/** Nothing when there is none that vial wrote. */
export function readGroup(directory: string): { readonly group?: RecordedGroup } {
  const group: unknown = ifSeen(() => JSON.parse(readFileSync(join(directory, groupName), 'utf8')))
  return isGroup(group) ? { group } : {}
}

/** Undefined: there is none. `fault`: there is something else. */
export function readRecord(directory: string, name: string): SandboxRecord | { readonly fault: string } | undefined {
  let text: string
  try {
    // Neither a link nor a pipe, which would not be read to its end.
    const fd = openSync(join(directory, recordName), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const status = fstatSync(fd)
      if (!status.isFile()) return { fault: 'its record is no file' }
      if (status.uid !== process.geteuid!()) return { fault: `its record belongs to another user, uid ${status.uid}` }
      if (status.size > most) return { fault: `its record is larger than ${most} bytes` }
      text = readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (isShortage(error)) throw shortageError(error)
    return { fault: code === 'ELOOP' ? 'its record is a link' : systemFault(error) }
  }
  return parseRecord(text, name)
}

/** Undefined also where it was of another boot, which no group outlives: what has its name by now is another's. */
export const presentGroup = ({ boot, group }: SandboxRecord): RecordedGroup | undefined =>
  boot === bootId() ? group : undefined

export const stopSignalOf = ({ stopSignal = 'SIGTERM' }: SandboxRecord): SignalName => stopSignal

/** Of two that had one name, one after the other, it is not the same. */
export const sameSandbox = (one: SandboxRecord, other: SandboxRecord) =>
  one.boot === other.boot &&
  one.view === other.view &&
  one.monitor.pid === other.monitor.pid &&
  one.monitor.start === other.monitor.start

function parseRecord(text: string, name: string): SandboxRecord | { readonly fault: string } {
  let record: Partial<SandboxRecord> | null
  try {
    record = JSON.parse(text)
  } catch {
    return { fault: 'its record is cut or damaged' }
  }
  const version: unknown = record?.version
  if (typeof version === 'number' && version > 1) return { fault: `its record is of a later vial: version ${version}` }
  return isRecord(record, name) ? record : { fault: 'its record is damaged' }
}

const isPid = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0
const isText = (value: unknown): value is string => typeof value === 'string'
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText)
const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isRecord(record: unknown, name: string): record is SandboxRecord {
  if (!isFields(record)) return false
  const {
    version,
    monitor,
    boot,
    view,
    init,
    namespaces,
    policy,
    base,
    trusted,
    command,
    stopSignal,
    created,
    group,
    work,
  } = record
  return (
    version === 1 &&
    record.name === name &&
    isFields(monitor) &&
    isPid(monitor.pid) &&
    isText(monitor.start) &&
    isText(boot) &&
    isText(view) &&
    isPid(init) &&
    isFields(namespaces) &&
    Object.values(namespaces).every(isPid) &&
    isFields(policy) &&
    isText(base) &&
    (trusted === undefined || isTexts(trusted)) &&
    (command === undefined || isTexts(command)) &&
    (stopSignal === undefined || (isText(stopSignal) && Object.hasOwn(signals, stopSignal))) &&
    isText(created) &&
    !Number.isNaN(Date.parse(created)) &&
    (group === undefined || isGroup(group)) &&
    (work === undefined || (isFields(work) && isText(work.layers) && work.layers.startsWith('/')))
  )
}

/** What is in these directories is killed, and they are removed: they have to be vial's. */
function isGroup(group: unknown): group is RecordedGroup {
  if (!isFields(group) || !isTexts(group.paths)) return false
  const named = group.paths.every((path) => path.startsWith('/') && ownerOf(basename(path)) !== undefined)
  return (group.version === 1 || group.version === 2) && named
}
