/** How messages name a policy's keys: by the flag that set a key, or as a key of the policy file. */
import type { Policy } from '../policy/schema.js'
import { type Names, policyNames } from '../text/words.js'
import type { Option } from './policyFlags.js'

/** A flag that set a key. */
export interface Origin {
  /** As it was typed. */
  readonly typed: string
  /** Its name, where that is enough to know it by; default: as it was typed. */
  readonly name?: string
  /** Its value is a file that says more than one thing: a fault tells where in it. */
  readonly isFile?: boolean
}

/** By the paths of what they set. */
export type Origins = ReadonlyMap<string, Origin>

export interface PolicyFile {
  readonly path: string
  readonly policy: Policy
}

/** Of a file that is checked by itself. */
export const namesIn = (path: string): Names => ({ ...policyNames, at: (key) => `${path}: ${key}` })

export class TypedNames implements Names {
  readonly ofPolicy: boolean

  constructor(
    private readonly options: readonly Option[],
    private readonly origins: Origins,
    private readonly file: PolicyFile | undefined,
  ) {
    this.ofPolicy = file !== undefined
  }

  at(path: string): string {
    const { origin, rest } = this.#originOf(path)
    if (origin !== undefined)
      return origin.isFile && rest !== '' ? `${origin.typed}: ${rest.replace(/^\./, '')}` : origin.typed
    const flag = this.#isInFile(path) ? undefined : this.#flagFor(path)?.flag
    return flag ?? (this.file === undefined ? path : `${this.file.path}: ${path}`)
  }

  key(path: string): string {
    const { origin } = this.#originOf(path)
    if (origin !== undefined) return origin.name ?? origin.typed
    return this.#isInFile(path) ? `${path} of ${this.file!.path}` : (this.#flagFor(path)?.flag ?? path)
  }

  setting(path: string, value: unknown): string {
    const { flag, option } = this.#flagFor(path) ?? {}
    if (option === undefined)
      return `${policyNames.setting(path, value)}${this.file === undefined ? '' : ` in ${this.file.path}`}`
    if (option.value !== undefined) return `${flag} ${value}`
    return option.to === value ? flag! : `${flag} to be left out`
  }

  entry(entry: object, flag: string): string {
    return this.#flagFor('filesystem') === undefined ? policyNames.entry(entry, flag) : flag
  }

  /** Whether any flag is about this part of a policy. */
  #isTyped(top: string): boolean {
    return [...this.origins.keys()].some((path) => path === top || isBelow(path, top))
  }

  /** The flag that set a key, what the key lies in, or something in it. */
  #originOf(path: string): { readonly origin: Origin | undefined; readonly rest: string } {
    for (let above = path; above !== ''; above = parentOf(above)) {
      const origin = this.origins.get(above)
      if (origin !== undefined) return { origin, rest: path.slice(above.length) }
    }
    const found = this.#isInFile(path) ? undefined : [...this.origins].find(([known]) => isBelow(known, path))
    return { origin: found?.[1], rest: '' }
  }

  /** A flag that could set it. To those who write the file, and type nothing of its kind, it is a key. */
  #flagFor(path: string): { readonly flag: string; readonly option: Option } | undefined {
    if (this.file !== undefined && !this.#isTyped(path.split(/[.[]/)[0]!)) return undefined
    const [option] = this.options
      .filter(({ sets }) => sets !== undefined && (sets === path || isBelow(path, sets)))
      // The one that says the most of it.
      .sort((one, other) => other.sets!.length - one.sets!.length)
    return option && { flag: `--${option.name}`, option }
  }

  #isInFile(path: string): boolean {
    let value: unknown = this.file?.policy
    for (const [, name, index, quoted] of path.matchAll(/\.?([\w-]+)|\[(\d+)\]|\[(".*")\]/g)) {
      const key = name ?? index ?? (JSON.parse(quoted!) as string)
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false
      value = (value as Record<string, unknown>)[key]
    }
    return value !== undefined
  }
}

const isBelow = (path: string, above: string) => path.startsWith(`${above}.`) || path.startsWith(`${above}[`)

/** `a.b[0]` → `a.b` → `a` → nothing. */
const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('.'), path.lastIndexOf('[')))
