/** What a policy names of the host: where it is, and what a link that an earlier run left there could lead to. */
import { resolve } from 'node:path'
import { faultAt } from '../policy/keys.js'
import type { Entry } from '../policy/schema.js'
import { PolicyError } from '../text/error.js'
import type { FilesystemContext } from './planner.js'
import type { Layer } from './step.js'

export class Sources {
  /** Host directories that the payload may write, the outermost first. */
  readonly #writable: readonly string[]

  constructor(
    entries: readonly Entry[],
    private readonly context: FilesystemContext,
  ) {
    this.#writable = context.style.followsLinks
      ? []
      : entries
          .flatMap((entry) => {
            if ('bind' in entry && entry.writable) return [this.of(entry)]
            return 'overlay' in entry && typeof entry.upper === 'object' ? [this.#host(entry.upper.upper)] : []
          })
          .filter((source): source is string => typeof source === 'string' && source.startsWith('/') && source !== '/')
          .sort((a, b) => a.length - b.length)
  }

  /** A path of the host, or a descriptor. */
  of(entry: Extract<Entry, { bind: string }>): string | number {
    return entry.fd ?? this.#host(entry.from ?? entry.bind)
  }

  layer(from: string): Layer {
    const path = this.#host(from)
    return { path, ...this.within(path) }
  }

  /**
   * The outermost directory above it that this sandbox may write, and so an earlier run of it could put links in; else the
   * one that the policy names.
   */
  within(source: string | number, beneath?: string): { within?: string } {
    if (typeof source === 'number') return {}
    const named = beneath === undefined ? [] : [this.#host(beneath)]
    const within = [...this.#writable, ...named].find((directory) => source.startsWith(`${directory}/`))
    if (within === undefined && beneath !== undefined)
      throw new PolicyError([
        faultAt('filesystem', `${source} does not lie beneath ${named[0]}: beneath must name a directory above it`),
      ])
    return within === undefined ? {} : { within }
  }

  #host(path: string): string {
    return this.context.base === undefined ? path : resolve(this.context.base, path)
  }
}
