/** Waiting until a sandbox has ended. Node.js waits for its own children only: what the monitor writes is watched, and its process. */
import { join } from 'node:path'
import { isShortage } from '../kernel/shortage.js'
import { type FoundSandbox, findSandbox } from './findSandbox.js'
import { DirectoryChanges } from './directoryChanges.js'
import { isMonitor } from './processes.js'
import { type SandboxRecord, sameSandbox } from './recordFile.js'

/** Milliseconds that the monitor may take from its last word to its end. */
const exiting = 1000

/**
 * What it is in the end; undefined: its name is free, or another's. Its monitor is gone then, or takes its time to exit.
 * @param most milliseconds after which it is given up; the state is then still `starting` or `running`
 * @param holds whether the wait keeps this process from ending
 */
export async function awaitEnd(
  home: string,
  name: string,
  most = Number.POSITIVE_INFINITY,
  holds = true,
): Promise<FoundSandbox | undefined> {
  let changes: DirectoryChanges | undefined
  let first: SandboxRecord | undefined
  let until = performance.now() + most
  try {
    for (;;) {
      const left = until - performance.now()
      try {
        const found = findSandbox(home, name)
        if (found === undefined || (found.state !== 'starting' && !('record' in found && found.record !== undefined)))
          return found
        if ('record' in found && found.record !== undefined) {
          first ??= found.record
          if (!sameSandbox(found.record, first)) return undefined
          const over = found.state !== 'running' && found.state !== 'elsewhere'
          if (over && !isMonitor(found.record)) return found
          if (over) until = Math.min(until, performance.now() + exiting)
        }
        if (left <= 0) return found
      } catch (error) {
        // It says nothing of the sandbox: that is looked at again.
        if (left <= 0 || !isShortage(error)) throw error
      }
      changes ??= new DirectoryChanges(join(home, name), holds)
      await changes.next(left)
    }
  } finally {
    changes?.close()
  }
}

/**
 * What it is once its start is over; undefined: that has failed.
 * @param most milliseconds after which it is given up; the state is then still `starting`
 */
export async function awaitStart(home: string, name: string, most: number): Promise<FoundSandbox | undefined> {
  let changes: DirectoryChanges | undefined
  const until = performance.now() + most
  try {
    for (;;) {
      const found = findSandbox(home, name)
      const left = until - performance.now()
      if (found?.state !== 'starting' || left <= 0) return found
      changes ??= new DirectoryChanges(found.directory)
      await changes.next(left)
    }
  } finally {
    changes?.close()
  }
}
