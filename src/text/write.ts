/**
 * Standard output and error without Node's own streams. These set O_NONBLOCK on a pipe, and so for all that share its open
 * file: open(2). The payload, or another program of the pipeline, then gets EAGAIN for what it writes, and loses it.
 */
import { writeSync } from 'node:fs'

const still = new Int32Array(new SharedArrayBuffer(4))

/** Waits where the caller has itself set O_NONBLOCK. The reader of standard output may close it early: `vial explain | head`. */
export function write(fd: 1 | 2, text: string | Uint8Array): void {
  const bytes = typeof text === 'string' ? Buffer.from(text) : text
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') Atomics.wait(still, 0, 0, 1)
      else if (fd === 2) return
      else if (code === 'EPIPE') process.exit()
      else throw error
    }
  }
}

export const printJson = (value: unknown) => write(1, `${JSON.stringify(value, null, 2)}\n`)
