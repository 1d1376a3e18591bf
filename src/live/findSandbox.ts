/**
 * What is known of a name: the directory itself is looked at, through a descriptor of it, so that nothing that is read or removed is
 * of another that took its name meanwhile.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { requireOwn } from '../cache/trust.js'
import { errnoMessage } from '../kernel/errno.js'
import { systemFault } from '../kernel/systemError.js'
import { type Outcome, readOutcome } from '../run/status.js'
import { readStatusAt } from '../run/statusFile.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { fateOf, parseIdentity } from './processes.js'
import { type RecordedGroup, readGroup, readRecord, recordName, type SandboxRecord } from './recordFile.js'

/** The states of a name, and what is known in each. */
interface States {
  /** Its starter has not yet written the record. */
  readonly starting: unknown
  readonly running: { readonly record: SandboxRecord }
  /** How it ended is known, and kept until it is removed or started again. */
  readonly ended: { readonly record: SandboxRecord; readonly outcome: Outcome }
  /** Killed together with its monitor or its starter, or by the end of the machine. `group`: that of one which was being started. */
  readonly lost: { readonly record?: SandboxRecord; readonly group?: RecordedGroup }
  /** Started in another pid or time namespace, such as a container's that has the same directory. */
  readonly elsewhere: { readonly record?: SandboxRecord }
  /** What lies there was not written by this vial. */
  readonly unreadable: { readonly fault: string }
}

export type StateName = keyof States
export type SandboxState<Name extends StateName = StateName> = {
  [One in Name]: { readonly state: One } & States[One]
}[Name]

export type FoundSandbox<Name extends StateName = StateName> = {
  [One in Name]: SandboxState<One> & { readonly name: string; readonly directory: string }
}[Name]

/** Something for each of some states. */
export type ByState<Name extends StateName, Value> = { readonly [One in Name]: (found: FoundSandbox<One>) => Value }

export const byState = <Name extends StateName, Value>(table: ByState<Name, Value>, found: FoundSandbox<Name>): Value =>
  table[found.state](found)

/** Who reserved the name. */
export const makerFile = 'maker'
/** The status file of the sandbox: see run/statusFile.ts. */
export const statusName = 'status'

/** Undefined: the name is free. */
export function findSandbox(home: string, name: string): FoundSandbox | undefined {
  const directory = join(home, name)
  return inDirectory(directory, ({ at, fault }) => ({ name, directory, ...stateAt(at, name, fault) }))
}

/**
 * Removes the directory, if its state is still one that `agrees`.
 * @returns whether it did
 * @throws {HostError} when something in it cannot be removed
 */
export function removeIf(home: string, name: string, agrees: (found: SandboxState) => boolean): boolean {
  const directory = join(home, name)
  const removed = inDirectory(directory, ({ at, fault }) => {
    if (!agrees(stateAt(at, name, fault))) return false
    if (at === undefined) tolerating(directory, ['ENOENT', 'EISDIR'], () => unlinkSync(directory))
    else empty(at, directory)
    return true
  })
  if (!removed) return false
  // Of another that took the name meanwhile it is never empty.
  tolerating(directory, ['ENOENT', 'ENOTEMPTY', 'ENOTDIR'], () => rmdirSync(directory))
  return true
}

interface Opened {
  /** The very directory, whatever its name leads to meanwhile; undefined: it is none. */
  readonly at: string | undefined
  /** Why it is not trusted. */
  readonly fault?: string
}

/** Undefined when nothing is there. */
function inDirectory<Value>(directory: string, look: (opened: Opened) => Value): Value | undefined {
  let fd: number
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    const isLink = lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink()
    return look({ at: undefined, fault: isLink ? `${directory} is a link` : systemFault(error) })
  }
  try {
    const at = `/proc/self/fd/${fd}`
    try {
      requireOwn(directory, fstatSync(fd))
    } catch (error) {
      return look({ at, fault: (error as Error).message })
    }
    return look({ at })
  } finally {
    closeSync(fd)
  }
}

function stateAt(at: string | undefined, name: string, fault: string | undefined): SandboxState {
  if (at === undefined || fault !== undefined) return { state: 'unreadable', fault: fault! }
  return (
    recordedState(at, name) ?? unrecordedState(at) ?? recordedState(at, name) ?? { state: 'lost', ...readGroup(at) }
  )
}

/** Undefined: there is no record. */
function recordedState(at: string, name: string): SandboxState | undefined {
  const record = readRecord(at, name)
  if (record === undefined) return undefined
  if ('fault' in record) return { state: 'unreadable', fault: record.fault }
  const { monitor, boot, view } = record
  // First the process: what it had to tell, it told before it ended.
  const fate = fateOf({ ...monitor, boot, view })
  const outcome = readOutcome(readStatusAt(join(at, statusName)))
  if (outcome.usage !== undefined || outcome.failure !== undefined) return { state: 'ended', record, outcome }
  return { state: ({ alive: 'running', dead: 'lost', unknown: 'elsewhere' } as const)[fate], record }
}

/** Undefined: no process will write a record any more, so that one which is there by now is the last. */
function unrecordedState(at: string): SandboxState | undefined {
  const maker = parseIdentity(attempt(() => readFileSync(join(at, makerFile), 'latin1')) ?? '')
  const fate = maker === undefined ? 'dead' : fateOf(maker)
  return fate === 'dead' ? undefined : { state: fate === 'alive' ? 'starting' : 'elsewhere' }
}

/** The record first: another that looks meanwhile sees nothing that it could take for one that runs. */
function empty(at: string, directory: string): void {
  for (const name of [recordName, ...readdirSync(at)])
    tolerating(join(directory, name), ['ENOENT'], () => unlinkSync(join(at, name)))
}

function tolerating(path: string, codes: readonly string[], action: () => void): void {
  try {
    action()
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException
    if (codes.includes(code!)) return
    throw new HostError(`cannot remove ${path}: ${errnoMessage(-errno!)}`, {
      code,
      hint: 'vial made nothing of that kind: remove it by hand',
      cause: error,
    })
  }
}
