/** Makes a connection to one of several addresses, happy eyeballs, RFC 8305; or to a unix socket of this host. */
import { connect, type OnReadOpts, type Socket } from 'node:net'
import { addressText, type IpAddress } from '../policy/ipAddress.js'

/** RFC 8305, 5: the next address is tried beside the ones before when these have said nothing for so long. */
const nextAttempt = 250
/** tcp(7): seconds of silence after which the kernel asks whether the other side is still there. Here in milliseconds. */
const keepAlive = 60_000

export interface Dialled {
  /** Does not read yet. */
  readonly socket: Socket
  /** What it is connected to. */
  readonly real: string
}

export interface Dial {
  /** Rejects with the last address's error, or when it takes too long. */
  readonly dialled: Promise<Dialled>
  /** Leaves off. */
  cancel(): void
}

/** RFC 8305, 4: in their order, the families by turns. */
export function interleaved(addresses: readonly IpAddress[]): IpAddress[] {
  const first = addresses.filter(({ family }) => family === addresses[0]?.family)
  const other = addresses.filter(({ family }) => family !== addresses[0]?.family)
  return first
    .flatMap((address, index) => [address, ...other.slice(index, index + 1)])
    .concat(other.slice(first.length))
}

/** An error that says what failed, in the words of the event. */
export const dialFault = (error: unknown): string =>
  (error as NodeJS.ErrnoException).code ?? (error instanceof Error ? error.message : String(error))

/** @param onread where the connection that is made reads to; undefined: it is read as any is */
export function dial(
  addresses: readonly IpAddress[],
  port: number,
  onread: OnReadOpts | undefined,
  timeout: number,
): Dial {
  const waiting = interleaved(addresses)
  const attempts = new Set<Socket>()
  let next: NodeJS.Timeout | undefined
  let late: NodeJS.Timeout | undefined
  let settle: { resolve(dialled: Dialled): void; reject(error: unknown): void }
  const dialled = new Promise<Dialled>((resolve, reject) => {
    settle = { resolve, reject }
  })

  const leaveOff = () => {
    clearTimeout(next)
    clearTimeout(late)
    waiting.length = 0
    for (const socket of attempts) socket.destroy()
    attempts.clear()
  }
  const fail = (error: unknown) => {
    leaveOff()
    settle.reject(error)
  }
  const attempt = () => {
    clearTimeout(next)
    const address = waiting.shift()
    if (address === undefined) return
    const socket = connect({
      ...{ host: addressText(address), port, allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) },
      ...{ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAlive },
    })
    // Before it is there, so that it reads nothing then.
    socket.pause()
    socket.unref()
    attempts.add(socket)
    socket.once('connect', () => {
      attempts.delete(socket)
      socket.removeAllListeners('error')
      leaveOff()
      settle.resolve({ socket, real: addressText(address) })
    })
    socket.on('error', (error) => {
      if (!attempts.delete(socket)) return
      if (waiting.length > 0) attempt()
      else if (attempts.size === 0) fail(error)
    })
    if (waiting.length > 0) next = setTimeout(attempt, nextAttempt).unref()
  }

  late = setTimeout(() => fail(tooLate), timeout).unref()
  attempt()
  return { dialled, cancel: () => fail(cancelled) }
}

/** Milliseconds until a server is asked again whose queue is full: for a program connect(2) would wait, and for Node.js gives EAGAIN. */
const nextTry = 20

/** @param onread as of {@link dial} */
export function dialPath(path: string, onread: OnReadOpts | undefined, timeout: number): Dial {
  let attempt: Socket | undefined
  let next: NodeJS.Timeout | undefined
  let fail: (error: unknown) => void = () => {}
  const dialled = new Promise<Dialled>((resolve, reject) => {
    const late = setTimeout(() => fail(tooLate), timeout).unref()
    fail = (error) => {
      for (const timer of [late, next]) clearTimeout(timer)
      attempt?.destroy()
      reject(error)
    }
    const connectNow = () => {
      const socket = connect({ path, allowHalfOpen: true, ...(onread === undefined ? {} : { onread }) })
      attempt = socket
      socket.pause()
      socket.unref()
      const onError = (error: NodeJS.ErrnoException) => {
        if (error.code === 'EAGAIN') next = setTimeout(connectNow, nextTry).unref()
        else fail(error)
      }
      socket.once('error', onError)
      socket.once('connect', () => {
        clearTimeout(late)
        socket.off('error', onError)
        attempt = undefined
        resolve({ socket, real: path })
      })
    }
    connectNow()
  })
  return { dialled, cancel: () => fail(cancelled) }
}

/** As the kernel says it. */
const tooLate = Object.assign(new Error('no connection in time'), { code: 'ETIMEDOUT' })
const cancelled = Object.assign(new Error('cancelled'), { code: 'ECANCELED' })
