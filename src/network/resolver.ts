/** The real addresses of names, asked outside. What was answered is what is dialled: no question comes between a check and a dial. */
import { lookup } from 'node:dns/promises'
import type { Resolve } from '../policy/networkCalls.js'
import { type IpAddress, parseAddress } from '../policy/ipAddress.js'

/** What is known of a name. */
export type Resolution =
  /** At least one. */
  | { readonly addresses: readonly IpAddress[] }
  /** `none`: there is no such name. `failed`: that is not known. */
  | { readonly missing: 'none' | 'failed'; readonly why: string }

export interface ResolverOptions {
  /** Default: getaddrinfo(3) of the host, with all that its nsswitch.conf says. */
  readonly resolve?: Resolve | undefined
  /** Milliseconds for which an answer is good. */
  readonly keep?: number
  /** The same of a name that has no address, or where asking failed: shorter, for people repair such things. */
  readonly keepMissing?: number
  /** Milliseconds after which asking has failed. */
  readonly timeout?: number
  /** How many names are asked for at a time. Of those that wait there are at most {@link mostWaiting}. */
  readonly atOnce?: number
  readonly now?: () => number
}

const mostWaiting = 256
const mostKept = 4096
/** So many addresses of a name are dialled, one after another, and no more. */
const mostAddresses = 16

const resolveByHost: Resolve = async (name) =>
  (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address)

interface Kept {
  readonly until: number
  readonly resolution: Resolution
}

export class Resolver {
  readonly #resolve: Resolve
  readonly #keep: number
  readonly #keepMissing: number
  readonly #timeout: number
  readonly #atOnce: number
  readonly #now: () => number
  /** In the order in which they came. */
  readonly #kept = new Map<string, Kept>()
  readonly #asked = new Map<string, Promise<Resolution>>()
  readonly #waiting: (() => void)[] = []
  #asking = 0

  constructor(options: ResolverOptions = {}) {
    this.#resolve = options.resolve ?? resolveByHost
    this.#keep = options.keep ?? 30_000
    this.#keepMissing = options.keepMissing ?? 2_000
    this.#timeout = options.timeout ?? 10_000
    // libuv lets getaddrinfo(3) have two of its four threads: https://docs.libuv.org/en/v1.x/threadpool.html
    this.#atOnce = options.atOnce ?? 8
    this.#now = options.now ?? (() => performance.now())
  }

  /** Never rejects. */
  async lookup(name: string): Promise<Resolution> {
    const kept = this.#kept.get(name)
    if (kept !== undefined && this.#now() < kept.until) return kept.resolution
    const asked = this.#asked.get(name) ?? this.#ask(name)
    return asked
  }

  #ask(name: string): Promise<Resolution> {
    if (this.#waiting.length >= mostWaiting)
      return Promise.resolve({ missing: 'failed', why: `${mostWaiting} other names are being looked up` })
    const asked = this.#inTurn(name).then((resolution) => {
      this.#asked.delete(name)
      this.#remember(name, resolution)
      return resolution
    })
    this.#asked.set(name, asked)
    return asked
  }

  async #inTurn(name: string): Promise<Resolution> {
    if (this.#asking < this.#atOnce) this.#asking++
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    // A thread that waits for a server cannot be called back: its turn lasts until it is over, the answer does not.
    const asking = this.#ofHost(name).finally(() => {
      const next = this.#waiting.shift()
      // The turn is handed on.
      if (next === undefined) this.#asking--
      else next()
    })
    const { promise, cancel } = after(this.#timeout)
    const late = promise.then((): Resolution => ({ missing: 'failed', why: `no answer within ${this.#timeout} ms` }))
    return Promise.race([asking, late]).finally(cancel)
  }

  async #ofHost(name: string): Promise<Resolution> {
    try {
      const texts = await this.#resolve(name)
      const addresses = texts.flatMap((text) => parseAddress(text) ?? []).slice(0, mostAddresses)
      return addresses.length > 0 ? { addresses } : { missing: 'none', why: 'the name has no address' }
    } catch (error) {
      const code = (error as NodeJS.ErrnoException | undefined)?.code
      if (code === 'ENOTFOUND' || code === 'ENODATA') return { missing: 'none', why: 'there is no such name' }
      return { missing: 'failed', why: `looking it up failed${code === undefined ? '' : ` (${code})`}` }
    }
  }

  #remember(name: string, resolution: Resolution): void {
    const keep = 'addresses' in resolution ? this.#keep : this.#keepMissing
    this.#kept.delete(name)
    this.#kept.set(name, { until: this.#now() + keep, resolution })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= mostKept) break
      this.#kept.delete(oldest)
    }
  }
}

/** A promise that a timer resolves, which nothing waits for by itself. */
function after(milliseconds: number) {
  let cancel = () => {}
  const promise = new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds).unref()
    cancel = () => clearTimeout(timer)
  })
  return { promise, cancel }
}
