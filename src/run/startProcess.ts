/** Starts the executable of a vial by Node. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type OpenVial, withName } from '../cache/executable.js'
import { errno, errnoMessage } from '../kernel/errno.js'
import { isShortage } from '../kernel/shortage.js'
import { systemHints } from '../kernel/systemError.js'
import { HostError } from '../text/error.js'
import type { Ending } from './result.js'

const mostAttempts = 100

/**
 * The child, with its streams. It may not be there: then it has no pid, and an event tells why.
 * @param open opens the executable, for each attempt
 * @throws {Error} of Node's, as {@link startError} takes it
 */
export function startProcess(open: () => OpenVial, args: readonly string[], options: SpawnOptions): ChildProcess {
  const descriptors = options.stdio!.length
  for (let attempt = 1; ; attempt++) {
    const file = open()
    try {
      const child = withName(file, descriptors, (name) => spawn(name, args, options))
      if (child.stdio === undefined) throw withoutStreams(child)
      if (child.pid !== undefined || attempt === mostAttempts || existsSync(file.path)) return child
      // Without /proc: the cache was emptied since, and the file is stored again.
      child.once('error', () => {})
    } catch (error) {
      // Another thread forked while the file was open for writing, and its child has not yet executed: execve(2).
      if ((error as NodeJS.ErrnoException).code !== 'ETXTBSY' || attempt === mostAttempts) throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
    }
  }
}

/** What Node leaves where it had no descriptors for the pipes, or for the child: the types do not know it. */
function withoutStreams(child: ChildProcess): Error {
  // The same by an event, later.
  child.once('error', () => {})
  return Object.assign(new Error('spawn EMFILE'), { code: 'EMFILE', errno: -errno.EMFILE, syscall: 'spawn' })
}

/** Whether these keep this process from ending. */
export function hold(holds: boolean, handles: readonly Pick<ChildProcess, 'ref' | 'unref'>[]): void {
  for (const one of handles)
    if (holds) one.ref()
    else one.unref()
}

/** How a process ended. Rejects when there is none. */
export function endOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve, reject) => {
    // Any other error is a signal that could not be sent: the process goes on.
    child.on('error', (error) => child.pid === undefined && reject(startError(error)))
    // After an error in the start there is also this event.
    child.once('exit', (exitCode, signal) => child.pid !== undefined && resolve({ exitCode, signal }))
  })
}

/** What Node says about a vial that it could not start. */
export function startError(error: unknown): unknown {
  const { code, errno: number, syscall } = error as NodeJS.ErrnoException
  if (number === undefined || !(syscall?.startsWith('spawn') || isShortage(error))) return error
  return new HostError(`cannot start the vial: ${errnoMessage(-number)}`, {
    code,
    hint: startHints[code ?? ''],
    cause: error,
  })
}

const startHints: Record<string, string> = {
  EACCES: 'the cache may be mounted noexec: set VIAL_CACHE to a directory of yours that is not',
  E2BIG: 'the arguments and the environment are too long together: see execve(2)',
  ...systemHints,
  EAGAIN: 'this user has too many processes: see ulimit -u',
  ENOSYS: 'refused here: clone (ENOSYS); by the filter of a container runtime or of systemd',
  EPERM: 'refused here: clone or execve (EPERM); by the filter of a container runtime or of systemd',
}
