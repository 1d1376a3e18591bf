/**
 * Nameless files that a vial writes its records to: a file, not a pipe, costs the event loop nothing. Each begins with
 * the pid of this process, so that the vial sees whether its parent is still the one that started it, and with the signals that it
 * is to ignore, and ends with the records; between these is the size of the terminal, where the run has one. The room for the records is taken when the file is made: a payload that fills the disk would else take away how it ended.
 */
import { closeSync, constants, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { inCache } from '../cache/cacheDirectory.js'
import { temporaryName, unlinkIfThere } from '../cache/wholeFile.js'
import { ifSeen } from '../kernel/shortage.js'
import { pack, structs } from '../kernel/structs.js'
import { record } from '../launcher/record.js'

/** The size of a terminal, in characters. */
export interface Window {
  readonly cols: number
  readonly rows: number
}

const idle: number[] = []
const mostIdle = 64
/** Where the records of a file's present user begin: those of earlier ones stay before them. */
const begins = new Map<number, number>()
/** What their headers say, where it is not 0. */
const ignores = new Map<number, bigint>()
/** Bytes of a file: after some hundred runs it is full, and another one takes its place. */
const room = 2 ** 16
/** Of one run, at most. */
const mostRecords = 8

/** @throws {HostError} when the cache has no room. */
export function borrowStatusFile(ignored: bigint): number {
  const fd = idle.pop() ?? open()
  if (ignored !== (ignores.get(fd) ?? 0n)) {
    ignores.set(fd, ignored)
    writeSync(fd, word(ignored), 0, 8, record.ignored)
  }
  return fd
}

/** How large the terminal of the present run is. */
export function writeWindow(fd: number, { cols, rows }: Window): void {
  writeSync(fd, pack(structs.winsize, { ws_row: rows, ws_col: cols }), 0, structs.winsize.size, record.window)
}

/** The records that were written since the file was borrowed. */
export function readStatus(fd: number): Buffer {
  const records = peekStatus(fd)
  begins.set(fd, beginOf(fd) + records.length)
  return records
}

/** The same, of a run that goes on. */
export function peekStatus(fd: number): Buffer {
  const buffer = Buffer.alloc(record.size * mostRecords)
  readSync(fd, buffer, 0, buffer.length, beginOf(fd))
  let size = 0
  // Behind the last record there are zeros; no kind is 0.
  while (size < buffer.length && buffer[size] !== 0) size += record.size
  return buffer.subarray(0, size)
}

const beginOf = (fd: number) => begins.get(fd) ?? record.header

/** The same, of a file that {@link makeStatusFile} made; of a path that leads to nothing there are none. */
export function readStatusAt(path: string): Buffer {
  const fd = ifSeen(() => openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK))
  if (fd === undefined) return Buffer.alloc(0)
  try {
    return peekStatus(fd)
  } finally {
    closeSync(fd)
  }
}

/** `quiet`: nothing writes to it any more, so that another sandbox may use it. */
export function returnStatusFile(fd: number, quiet: boolean): void {
  if (quiet && idle.length < mostIdle && beginOf(fd) + record.size * mostRecords <= room) {
    idle.push(fd)
    return
  }
  begins.delete(fd)
  ignores.delete(fd)
  closeSync(fd)
}

function open(): number {
  return inCache('a status file', (cache) => {
    const path = temporaryName(join(cache, 'status'))
    const fd = makeStatusFile(path, room)
    try {
      unlinkSync(path)
      return fd
    } catch (error) {
      closeSync(fd)
      throw error
    }
  })
}

/**
 * A new file for the records of one sandbox, which keeps its name: that of a sandbox that outlives its maker.
 * @param size bytes
 * @throws {Error} of Node's; nothing is left then
 */
export function makeStatusFile(path: string, size = 4096, ignored = 0n): number {
  // Monitor and init write where the one file offset is, which they share with us.
  const fd = openSync(path, 'wx+', 0o600)
  try {
    writeSync(fd, Buffer.alloc(size), 0, size, 0)
    writeSync(fd, word(BigInt(process.pid)))
    writeSync(fd, word(ignored))
    writeSync(fd, word(0n))
    return fd
  } catch (error) {
    closeSync(fd)
    unlinkIfThere(path)
    throw error
  }
}

function word(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}
