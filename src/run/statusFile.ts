/**
 * Nameless files that a vial writes its records to: a file, not a pipe, costs the event loop nothing. Each begins with
 * the pid of this process, so that the vial sees whether its parent is still the one that started it.
 */
import { closeSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { record } from '../launcher/record.js'
import { inCache, temporaryName } from './cache.js'

const idle: number[] = []
const mostIdle = 64
/** Where the records of a file's present user begin: those of earlier ones stay before them, which saves cutting them. */
const begins = new Map<number, number>()
const mostKept = 2 ** 20

/** @throws {Error} when the cache has no room. */
export function borrowStatusFile(): number {
  return idle.pop() ?? open()
}

/** The records that were written since the file was borrowed. */
export function readStatus(fd: number): Buffer {
  const begin = begins.get(fd) ?? record.header
  const buffer = Buffer.alloc(record.size * 8)
  const size = readSync(fd, buffer, 0, buffer.length, begin)
  begins.set(fd, begin + size)
  return buffer.subarray(0, size)
}

/** `quiet`: nobody writes to it any more, so that another sandbox may use it. */
export function returnStatusFile(fd: number, quiet: boolean): void {
  if (!quiet || idle.length >= mostIdle) {
    begins.delete(fd)
    closeSync(fd)
    return
  }
  if ((begins.get(fd) ?? 0) > mostKept) {
    ftruncateSync(fd, record.header)
    begins.delete(fd)
  }
  idle.push(fd)
}

function open(): number {
  return inCache('a status file', (folder) => {
    const path = temporaryName(join(folder, 'status'))
    // Appended to: each user of the one file offset writes where the file ends.
    const fd = openSync(path, 'ax+', 0o600)
    try {
      unlinkSync(path)
      const header = Buffer.alloc(record.header)
      header.writeBigUInt64LE(BigInt(process.pid))
      writeSync(fd, header)
      return fd
    } catch (error) {
      closeSync(fd)
      throw error
    }
  })
}
