import * as fs from './look.js'

/**
 * Opens a regular file. What else stands at the place is not waited for: it may be a pipe that an earlier payload left.
 *
 * @returns the descriptor and the size in bytes; undefined when there is no such file, or it cannot be opened
 */
export function openRegular(file: string): { fd: number; size: number } | undefined {
  let fd: number
  try {
    fd = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY)
  } catch {
    return undefined
  }
  const stat = fs.fstatSync(fd)
  if (stat.isFile()) return { fd, size: stat.size }
  fs.closeSync(fd)
  return undefined
}

/** The text of a regular file; undefined when there is none, or it cannot be read. */
export function readRegular(file: string): string | undefined {
  const opened = openRegular(file)
  if (opened === undefined) return undefined
  try {
    return fs.readFileSync(opened.fd).toString()
  } catch {
    return undefined
  } finally {
    fs.closeSync(opened.fd)
  }
}

/** The first `length` bytes of a regular file, each as a character; empty when there is none, or it cannot be read. */
export function readHead(file: string, length: number): string {
  const opened = openRegular(file)
  if (opened === undefined) return ''
  try {
    const bytes = Buffer.alloc(length)
    return bytes.toString('latin1', 0, fs.readSync(opened.fd, bytes, 0, length, 0))
  } finally {
    fs.closeSync(opened.fd)
  }
}
