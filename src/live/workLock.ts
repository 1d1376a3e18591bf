/**
 * Who works on layers that several processes know: one at a time. The lock is flock(2)'s, which is of the open file and not of a process: a
 * short program takes it for this process, by the descriptor that it inherits. It is over when the last such descriptor is closed, so
 * that a process which is killed leaves none, and what it has started keeps it.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { asking } from '../assembly/asking.js'
import { openStored } from '../cache/contentVials.js'
import { withName } from '../cache/executable.js'
import { hostArchitecture } from '../host/thisHost.js'
import { errno, errnoMessage } from '../kernel/errno.js'
import { LOCK } from '../kernel/flags.js'
import { HostError } from '../text/error.js'
import { spawnSync } from 'node:child_process'
import { endOf, startError, startProcess } from '../run/startProcess.js'

export interface WorkLock {
  readonly fd: number
  release(): void
}

/** The first that the program has besides its streams. */
const inherited = 3

/**
 * Waits until no other process has it.
 * @throws {HostError} when the layers are removed meanwhile
 */
export async function takeLock(layers: string): Promise<WorkLock> {
  const fd = openLock(layers)
  try {
    const child = startProcess(() => openStored(program(LOCK.EX)), [], {
      stdio: ['ignore', 'pipe', 'ignore', fd],
      env: {},
    })
    const pieces: Buffer[] = []
    child.stdout!.on('data', (piece: Buffer) => pieces.push(piece))
    const closed = new Promise((resolve) => child.once('close', resolve))
    await endOf(child)
    await closed
    requireTaken(Buffer.concat(pieces))
    if (fstatSync(fd).nlink === 0) throw removed()
    return { fd, release: () => closeSync(fd) }
  } catch (error) {
    closeSync(fd)
    throw startError(error)
  }
}

/** Undefined: another process has it. */
export function tryLock(layers: string): WorkLock | undefined {
  const fd = openLock(layers)
  try {
    const stdio = ['ignore', 'pipe', 'ignore', fd] as const
    const { stdout, error } = withName(openStored(program(LOCK.EX | LOCK.NB)), stdio.length, (name) =>
      spawnSync(name, { stdio: [...stdio], env: {} }),
    )
    if (error !== undefined) throw error
    if (stdout.length > 0 && answerOf(stdout) === -errno.EAGAIN) {
      closeSync(fd)
      return undefined
    }
    requireTaken(stdout)
    return { fd, release: () => closeSync(fd) }
  } catch (error) {
    closeSync(fd)
    throw startError(error)
  }
}

function openLock(layers: string): number {
  try {
    return openSync(join(layers, 'lock'), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'ENOENT' ? removed() : error
  }
}

const removed = () => new HostError('the work tree was removed meanwhile', { hint: 'see "vial ps"' })

const program = (operation: number) =>
  asking(hostArchitecture(), { stops: true }, (ask) => ask('flock', inherited, operation))

const answerOf = (bytes: Buffer) => Number(bytes.readBigInt64LE())

function requireTaken(bytes: Buffer): void {
  const answer = bytes.length < 8 ? -errno.EINTR : answerOf(bytes)
  if (answer < 0) throw new HostError(`the work tree cannot be locked: ${errnoMessage(-answer)}`)
}
