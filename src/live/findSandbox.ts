/**
 * What is known of a name: the directory itself is looked at, through a descriptor of it, so that nothing that is read or removed is
 * of another that took its name meanwhile.
 */
import {
  chmodSync,
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
import { ifSeen, isShortage, shortageError } from '../kernel/shortage.js'
import { systemFault } from '../kernel/systemError.js'
import { type Outcome, readOutcome } from '../run/status.js'
import { readStatusAt } from '../run/statusFile.js'
import { HostError } from '../text/error.js'
import { bootId, fateOf, parseIdentity } from './processes.js'
import { type RecordedGroup, readGroup, readRecord, type SandboxRecord } from './recordFile.js'

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

/**
 * Set in the mode of a directory that is being removed: its record and its maker are not looked at any more. The sticky bit, which means
 * nothing in a directory that only its owner writes to, chmod(2), and which takes no room on a full disk.
 */
const leaving = 0o1000

/** Undefined: the name is free. What another command has begun to remove, this one removes. */
export function findSandbox(home: string, name: string): FoundSandbox | undefined {
  return inDirectory(home, name, (state, directory) => ({ name, directory, ...state }))
}

/**
 * Removes the directory, if its state is still one that `agrees`.
 * @returns whether it did
 * @throws {HostError} when something in it cannot be removed
 */
export function removeIf(home: string, name: string, agrees: (found: SandboxState) => boolean): boolean {
  const removed = inDirectory(home, name, (state, _, remove) => {
    if (!agrees(state)) return false
    remove()
    return true
  })
  return removed ?? false
}

/** Whether a command removes the directory of this descriptor, or has removed it. */
export function isLeaving(fd: number): boolean {
  const { mode, nlink } = fstatSync(fd)
  return (mode & leaving) !== 0 || nlink === 0
}

type Look<Value> = (state: SandboxState, directory: string, remove: () => void) => Value

/** Undefined when nothing is there. */
function inDirectory<Value>(home: string, name: string, look: Look<Value>): Value | undefined {
  const directory = join(home, name)
  const unreadable = (fault: string) => ({ state: 'unreadable', fault }) as const
  let fd: number
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (isShortage(error)) throw shortageError(error)
    const isLink = lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink()
    return look(unreadable(isLink ? `${directory} is a link` : systemFault(error)), directory, () =>
      tolerating(directory, ['ENOENT', 'EISDIR'], () => unlinkSync(directory)),
    )
  }
  try {
    // The very directory, whatever its name leads to meanwhile.
    const at = `/proc/self/fd/${fd}`
    const remove = () => removeOpened(fd, directory)
    const fault = faultOf(() => requireOwn(directory, fstatSync(fd)))
    if (fault !== undefined) return look(unreadable(fault), directory, remove)
    const state = stateAt(at, name)
    // Asked last: while it is not set, all that was read was whole.
    if (!isLeaving(fd)) return look(state, directory, remove)
    const stays = faultOf(remove)
    return stays === undefined ? undefined : look(unreadable(stays), directory, remove)
  } finally {
    closeSync(fd)
  }
}

/** What is asked of a directory of the caller's, by a path that no link could lead elsewhere; undefined of anything else. */
export function inOwnDirectory<Value>(directory: string, ask: (at: string) => Value): Value | undefined {
  return ifSeen(() => {
    const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
    try {
      return fstatSync(fd).uid === process.geteuid!() ? ask(`/proc/self/fd/${fd}`) : undefined
    } finally {
      closeSync(fd)
    }
  })
}

function faultOf(action: () => void): string | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const stateAt = (at: string, name: string): SandboxState =>
  recordedState(at, name) ?? unrecordedState(at) ?? recordedState(at, name) ?? { state: 'lost', ...readGroup(at) }

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
  // What was changed in a work tree is not dropped since its sandbox was killed: how that ended is known then.
  if (fate === 'dead' && record.work !== undefined && boot === bootId()) return { state: 'ended', record, outcome }
  return { state: ({ alive: 'running', dead: 'lost', unknown: 'elsewhere' } as const)[fate], record }
}

/** Undefined: no process will write a record any more, so that one which is there by now is the last. */
function unrecordedState(at: string): SandboxState | undefined {
  const maker = parseIdentity(ifSeen(() => readFileSync(join(at, makerFile), 'latin1')) ?? '')
  const fate = maker === undefined ? 'dead' : fateOf(maker)
  return fate === 'dead' ? undefined : { state: fate === 'alive' ? 'starting' : 'elsewhere' }
}

/** @param fd of the very directory: `directory` may lead to another by now */
export function removeOpened(fd: number, directory: string): void {
  const at = `/proc/self/fd/${fd}`
  // Another user's, in which nothing can be removed either.
  tolerating(directory, ['EPERM'], () => chmodSync(at, 0o700 | leaving))
  for (const name of readdirSync(at)) tolerating(join(directory, name), ['ENOENT'], () => unlinkSync(join(at, name)))
  // Of another that took the name meanwhile it is never empty.
  tolerating(directory, ['ENOENT', 'ENOTEMPTY', 'ENOTDIR'], () => rmdirSync(directory))
}

function tolerating(path: string, codes: readonly string[], action: () => void): void {
  try {
    action()
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException
    if (codes.includes(code!)) return
    throw new HostError(`cannot remove ${path}: ${errnoMessage(-errno!)}`, {
      code,
      // A directory, or what a directory still holds; else what the message says is all.
      ...(['EISDIR', 'EPERM', 'ENOTEMPTY'].includes(code!) && {
        hint: 'vial made nothing of that kind: remove it by hand',
      }),
      cause: error,
    })
  }
}
