/** What `vial run` and `vial start` tell of the network by name of its sandbox: a log while it runs, and at the end what was refused. */
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { type NetworkBeside, type NetworkBesideOf, networkBeside } from '../live/networkBeside.js'
import type { NetworkEvent } from '../policy/networkCalls.js'
import { printable } from '../text/printable.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import { fileFault } from './obstacle.js'
import { say } from './say.js'

export const logIsAboutNames = '--network-log is about a network by name: say with --allow what it reaches'

/** Lines that are said of what was refused. */
const mostLines = 10

export class NetworkReport {
  #fd: number | undefined
  #beside: NetworkBeside | undefined

  /**
   * @param log of --network-log
   * @throws {UsageError} when the file cannot be written
   */
  constructor(log: string | undefined) {
    this.#fd = log === undefined ? undefined : log === '-' ? 2 : openLog(log)
  }

  /** What serves the network of the sandbox. */
  get network(): NetworkBeside | undefined {
    return this.#beside
  }

  /** What is beside the sandbox, and is told of here. */
  readonly beside: NetworkBesideOf = (policy, plan) => {
    const { network } = policy
    if (typeof network !== 'object') return undefined
    const onEvent = this.#fd === undefined ? {} : { onEvent: (event: NetworkEvent) => this.#tell(event) }
    const make = networkBeside({ ...policy, network: { ...network, ...onEvent } }, plan)!
    return () => {
      this.#beside = make()
      return this.#beside
    }
  }

  #tell(event: NetworkEvent): void {
    const line = `${JSON.stringify(event)}\n`
    if (this.#fd === 2) write(2, line)
    else if (this.#fd !== undefined)
      try {
        appendFileSync(this.#fd, line)
      } catch (error) {
        // The sandbox goes on, as it would without a log.
        say(`cannot write the log any more: ${(error as Error).message}`)
        closeSync(this.#fd)
        this.#fd = undefined
      }
  }

  /**
   * The sandbox has ended, or was not made.
   * @param says also what was refused, and how it would be allowed
   */
  async end(says = true): Promise<void> {
    await this.#beside?.drained()
    if (says) await this.#say()
    this.#beside?.close()
    if (this.#fd !== undefined && this.#fd !== 2) closeSync(this.#fd)
  }

  async #say(): Promise<void> {
    const { refused = [], others = 0 } = (await this.#beside?.summary()) ?? {}
    for (const one of refused.slice(0, mostLines)) say(sentence(one))
    const rest = refused.length - mostLines + others
    if (rest > 0) say(`${rest} other destinations were refused: --network-log FILE lists them`)
  }
}

type Refused = Awaited<ReturnType<NetworkBeside['summary']>>['refused'][number]

function sentence({ destination, count, reason, flag }: Refused): string {
  const times = count === 1 ? '' : ` (${count} times)`
  const hint = flag === undefined ? '' : `\n      ${flag} would allow it`
  return `the network refused ${printable(destination)}${times}: ${printable(reason)}${hint}`
}

function openLog(path: string): number {
  try {
    return openSync(path, 'a', 0o600)
  } catch (error) {
    throw new UsageError(`cannot write the log ${path}: ${fileFault(error, path, 'write')}`)
  }
}
