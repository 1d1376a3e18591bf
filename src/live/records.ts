/**
 * Named sandboxes outlive the command that started them, and are found again by their names: `HOME/NAME/`, a directory for each.
 *
 *     record.json   who runs it, and what it is: recordFile.ts. Without it the sandbox is still starting
 *     maker         which process reserved the name
 *     group.json    where its cgroup lies, before there is one: what a starter that was killed left is found by it
 *     status        the status file, where the monitor writes how it ended
 *     log, log.1    what the payload writes, the older part in log.1
 *
 * What a start does with a name:
 *
 *     const reserved = reserve('web')                    // throws when the name is in use
 *     try {
 *       … spawn the vial with `reserved.status` as its status descriptor; it writes its log in `reserved.directory`;
 *         its cgroup is named newGroupName('recorded'), so that it stays until its record is removed, and told `reserved.plan` before …
 *       reserved.commit({ monitor: identityOfChild(child.pid), init, namespaces, policy, base, command, group })
 *     } catch (error) {
 *       … end the vial …
 *       reserved.abandon()                               // the name is free
 *       throw error
 *     }
 *
 * A starter that is killed in between leaves a directory without a record whose maker is gone: whichever command sees it, removes it.
 * No lock is held. A reservation is a whole directory, which rename(2) puts in place only where there is none or an empty one; what
 * is removed is removed through a descriptor of the very directory that was looked at.
 */
import { closeSync, constants, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errnoMessage } from '../kernel/errno.js'
import { systemHints } from '../kernel/systemError.js'
import { makeStatusFile } from '../run/statusFile.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import {
  type ByState,
  byState,
  type FoundSandbox,
  findSandbox,
  isLeaving,
  makerFile,
  removeOpened,
  statusName,
} from './findSandbox.js'
import { namesIn, sandboxHome } from './home.js'
import { fateOf, identityOf, identityText, type ProcessIdentity, parseIdentity } from './processes.js'
import { type RecordedGroup, type SandboxRecord, writeGroup, writeRecord } from './recordFile.js'
import { removeSandbox } from './removeSandbox.js'
import { checkSandboxName } from './sandboxNames.js'

/** What the starter of a sandbox tells of it; the rest of the record is known here. */
export type NewRecord = Omit<SandboxRecord, 'version' | 'name' | 'monitor' | 'boot' | 'view' | 'created'> & {
  readonly monitor: ProcessIdentity
}

/** A name that is this process's until it is committed or abandoned. */
export interface Reservation {
  readonly name: string
  /** A descriptor of its directory, which is only this user's. The caller closes it, as the next. */
  readonly directory: number
  /** One of the status file, open for reading and writing, at the place of the first record. */
  readonly status: number
  /** Its cgroup will lie there: from now on it is removed with the name. */
  plan(group: RecordedGroup): void
  /**
   * The sandbox runs, or has run: from now on it is found by its name.
   * @throws {HostError} when the record cannot be written
   */
  commit(record: NewRecord): SandboxRecord
  /** There is no sandbox: the name is free again. After a commit nothing happens. */
  abandon(): void
}

/**
 * Takes a name. What is left there of a sandbox that has ended is removed.
 * @param ignored signals that the payload starts with ignored: bit N - 1 is signal N
 * @throws {OptionError} when it cannot be a name
 * @throws {HostError} when it is in use
 */
export function reserve(name: string, ignored = 0n): Reservation {
  checkSandboxName(name)
  const home = sandboxHome()
  sweep(home)
  const maker = identityText(identityOf(process.pid)!)
  const { directory, status } = reserving(home, maker, (unnamed) => {
    mkdirSync(unnamed, { mode: 0o700 })
    writeFileSync(join(unnamed, makerFile), maker, { mode: 0o600 })
    const opened = [openSync(unnamed, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)]
    try {
      opened.push(makeStatusFile(join(unnamed, statusName), undefined, ignored))
      take(home, name, unnamed)
      return { directory: opened[0]!, status: opened[1]! }
    } catch (error) {
      for (const fd of opened) closeSync(fd)
      throw error
    }
  })
  // The very directory: by force its name may have been taken away, and given to another.
  const write = (action: (at: string) => void) => {
    const removed = () => new HostError(`the sandbox "${name}" was removed while it was started`)
    try {
      action(`/proc/self/fd/${directory}`)
    } catch (error) {
      throw isLeaving(directory) ? removed() : unwritten(home, error)
    }
    if (isLeaving(directory)) throw removed()
  }
  let committed = false
  return {
    name,
    directory,
    status,
    plan(group) {
      write((at) => writeGroup(at, group))
    },
    commit({ monitor: { pid, start, boot, view }, ...rest }) {
      const created = new Date().toISOString()
      const record: SandboxRecord = { version: 1, name, monitor: { pid, start }, boot, view, ...rest, created }
      write((at) => writeRecord(at, record))
      committed = true
      return record
    },
    abandon() {
      // By the descriptor that is open: there may be only one more, and whatever stays, the next command removes.
      if (!committed && !isLeaving(directory)) attempt(() => removeOpened(directory, join(home, name)))
      committed = true
    },
  }
}

let serial = 0

/** Makes the directory under a name that tells its maker, and has it put in its place; whatever fails, it is gone then. */
function reserving<Value>(home: string, maker: string, make: (unnamed: string) => Value): Value {
  const unnamed = join(home, `.${maker}:${serial++}`)
  try {
    return make(unnamed)
  } catch (error) {
    rmSync(unnamed, { recursive: true, force: true })
    throw error instanceof HostError ? error : unwritten(home, error)
  }
}

/** Which file it is says nothing to a reader: where there is no room, there is none for the others. */
function unwritten(home: string, error: unknown): HostError {
  const { code, errno } = error as NodeJS.ErrnoException
  const why = errno === undefined ? (error as Error).message : errnoMessage(-errno)
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new HostError(`what is known of a sandbox cannot be written in ${home}: ${why}`, {
    code,
    hint: isFull ? 'make room there, or set XDG_RUNTIME_DIR to another directory of yours' : systemHints[code ?? ''],
    cause: error,
  })
}

/** Removes reservations whose makers were killed before they could put them in place. */
function sweep(home: string): void {
  for (const name of namesIn(home)) {
    const maker = name.startsWith('.') ? parseIdentity(name.slice(1, name.lastIndexOf(':'))) : undefined
    if (maker !== undefined && fateOf(maker) === 'dead') rmSync(join(home, name), { recursive: true, force: true })
  }
}

/** One that had the name when it was asked for may end meanwhile, and another take it: as often as a process can be that slow. */
const mostAttempts = 100

function take(home: string, name: string, unnamed: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      renameSync(unnamed, join(home, name))
      return
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(code!) || attempt === mostAttempts) throw error
    }
    const found = findSandbox(home, name)
    if (found === undefined) continue
    if (found.state !== 'ended' && found.state !== 'lost') throw inUse(found)
    if (found.state === 'ended' && found.record.work !== undefined)
      throw new HostError(`the name "${name}" is in use: what was changed in its work tree is kept`, {
        hint: `"vial diff ${name}" shows it, "vial commit ${name}" writes it, and "vial rm ${name}" drops what is left of it`,
      })
    removeSandbox(home, found)
  }
}

type InUse = 'starting' | 'running' | 'elsewhere' | 'unreadable'

const uses: ByState<InUse, [string, string]> = {
  starting: ({ name }) => [
    'a sandbox of that name is being started',
    `choose another name, or wait: vial wait ${name}`,
  ],
  running: ({ name }) => ['a sandbox of that name runs', `choose another name, or end it: vial stop --rm ${name}`],
  elsewhere: () => ['its sandbox was started in another container or pid namespace', 'choose another name'],
  unreadable: ({ name, fault }) => [fault, `choose another name, or remove it: vial rm -f ${name}`],
}

function inUse(found: FoundSandbox<InUse>): HostError {
  const [why, hint] = byState(uses, found)
  return new HostError(`the name "${found.name}" is in use: ${why}`, { hint })
}
