/**
 * What was mounted into a sandbox while it ran. Of one that has a name it is written beside its record, a file for each mount, so that every
 * command knows it; of one that has none, its process keeps it. The mounter writes there by itself which mount it is, before it is
 * put at its place: so none is ever there that is not written down, whatever is killed.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { inCache } from '../cache/cacheDirectory.js'
import { temporaryName, unlinkIfThere } from '../cache/wholeFile.js'
import { mountAnswer } from '../launcher/mountCall.js'
import { ifSeen } from '../kernel/shortage.js'
import { systemFault } from '../kernel/systemError.js'
import { attempt } from '../text/attempt.js'
import { HostError } from '../text/error.js'
import { fateOf, identityOf, identityText, parseIdentity } from './processes.js'

/** A mount that is not of the sandbox's policy. */
export interface AddedMount {
  /** The place inside, as it was asked for. */
  readonly place: string
  /** The path on the host. */
  readonly source: string
  readonly writable: boolean
}

export interface RecordedMount extends AddedMount {
  /** Its number in mountinfo: proc_pid_mountinfo(5). */
  readonly id: number
  /** It may not yet be at its place: another process puts it there now. */
  readonly coming: boolean
  /** It is there no more. */
  forget(): void
}

/** A record that is just made. */
export interface NewMountRecord {
  /** Open for writing, behind what is written already. */
  readonly fd: number
  /** What the mounter wrote. */
  answers(): readonly MountAnswer[]
  /** `stays`: whether the mount is there. */
  end(stays: boolean): void
}

export interface MountAnswer {
  readonly kind: number
  readonly value: number
}

export interface MountRecords {
  add(mount: AddedMount): NewMountRecord
  /** In the order in which they were added. */
  all(): readonly RecordedMount[]
}

interface Line extends AddedMount {
  /** Which sandbox it is of: a name may come to another. */
  readonly sandbox: string
  readonly maker: string
}

const prefix = 'mount-'
/** Of one sandbox. */
const most = 10_000

/** Those of a sandbox that has a name. */
export function recordedMounts(
  directory: string,
  monitor: { readonly pid: number; readonly start: string },
): MountRecords {
  const sandbox = `${monitor.pid}:${monitor.start}`
  return {
    add(mount) {
      const line: Line = { ...mount, sandbox, maker: identityText(identityOf(process.pid)!) }
      for (let number = 1; ; number++) {
        const path = join(directory, `${prefix}${number}`)
        let fd: number
        try {
          fd = openSync(path, 'wx+', 0o600)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || number === most) throw unwritable(error)
          continue
        }
        return newRecord(fd, line, () => unlinkIfThere(path))
      }
    },
    all: () =>
      numbersIn(directory).flatMap((number) => {
        const path = join(directory, `${prefix}${number}`)
        const found = ifSeen(() => parse(readWhole(path)))
        if (found?.line.sandbox !== sandbox) return []
        const { place, source, writable, maker } = found.line
        const of = (kind: number) => found.answers.find((one) => one.kind === kind)
        const id = of(mountAnswer.mount)?.value
        if (id === undefined) return []
        const identity = parseIdentity(maker)
        const coming = of(mountAnswer.done) === undefined && identity !== undefined && fateOf(identity) !== 'dead'
        return [{ place, source, writable, id, coming, forget: () => attempt(() => unlinkSync(path)) }]
      }),
  }
}

/** Those of a sandbox that this process has opened. */
export function ownMounts(): MountRecords {
  const kept = new Set<RecordedMount>()
  return {
    add(mount) {
      const fd = inCache('what is mounted', (cache) => {
        const path = temporaryName(join(cache, 'mount'))
        const fd = openSync(path, 'wx+', 0o600)
        unlinkIfThere(path)
        return fd
      })
      const record = newRecord(fd, mount, () => {})
      return {
        ...record,
        end(stays) {
          const id = record.answers().find(({ kind }) => kind === mountAnswer.mount)?.value
          if (stays && id !== undefined) {
            const one = { ...mount, id, coming: false, forget: () => void kept.delete(one) }
            kept.add(one)
          }
          record.end(stays)
        },
      }
    },
    all: () => [...kept],
  }
}

/** In the order in which they were made, as far as numbers tell: the lowest that is free is taken. */
const numbersIn = (directory: string): number[] =>
  (ifSeen(() => readdirSync(directory)) ?? [])
    .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((one, other) => one - other)

const unwritable = (error: unknown) =>
  new HostError(`what is mounted cannot be written down: ${systemFault(error)}`, {
    code: (error as NodeJS.ErrnoException).code,
    cause: error,
  })

function newRecord(fd: number, line: AddedMount, remove: () => void): NewMountRecord {
  try {
    writeFileSync(fd, `${JSON.stringify(line)}\n`)
  } catch (error) {
    closeSync(fd)
    remove()
    throw unwritable(error)
  }
  return {
    fd,
    answers: () => parse(readFrom(fd)).answers,
    end(stays) {
      closeSync(fd)
      if (!stays) remove()
    },
  }
}

/** From its beginning, wherever its writers are. */
function readFrom(fd: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(fd).size)
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, 0))
}

function readWhole(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** A line of JSON, and behind it what the mounter wrote. */
function parse(bytes: Buffer): { readonly line: Line; readonly answers: readonly MountAnswer[] } {
  const end = bytes.indexOf('\n')
  const line = JSON.parse(bytes.subarray(0, end).toString()) as Line
  const answers: MountAnswer[] = []
  for (let at = end + 1; at + mountAnswer.size <= bytes.length; at += mountAnswer.size)
    answers.push({ kind: Number(bytes.readBigUInt64LE(at)), value: Number(bytes.readBigUInt64LE(at + 8)) })
  return { line, answers }
}
