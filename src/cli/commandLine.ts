/** Words of a command line → flags and the rest, or one clear sentence. */
import { readValue, smallSize } from './flagValues.js'
import type { Option } from './policyFlags.js'

export interface Parsed {
  readonly flags: Readonly<Record<string, Flag>>
  readonly words: readonly string[]
  /** What follows `--`, unless the words themselves are a command. */
  readonly behind: readonly string[]
  readonly help: boolean
  /** What is taken as it is written, but was surely not meant so. */
  readonly warnings: readonly string[]
}

// Not the parseArgs of node:util: it goes on behind the command's name, and loading it takes a hundredth of Node's start.

/** What one flag, or one list of flags, comes to. */
type Flag = string | number | true | readonly string[] | readonly { readonly name: string; readonly value: string }[]

/** A command line that cannot be understood, or names a file that cannot be used. There is no run, and so no stage of one. */
export class UsageError extends Error {}

/** A flag that this command lacks. */
export class UnknownFlag extends UsageError {
  constructor(
    /** As it was typed, without its value. */
    readonly flag: string,
  ) {
    super(`there is no flag ${flag}`)
  }
}

/**
 * @param stops the first word that is no flag ends the flags: all from there on belong to the command
 * @throws {UsageError}
 */
export function parse(args: readonly string[], options: readonly Option[], stops: boolean): Parsed {
  const flags: Record<string, Flag> = {}
  const words: string[] = []
  const behind: string[] = []
  const warnings: string[] = []
  for (let at = 0; at < args.length; at++) {
    const word = args[at]!
    if (word === '--') {
      if (stops) words.push(...args.slice(at + 1))
      else behind.push(...args.slice(at + 1))
      break
    }
    if (!word.startsWith('-') || word === '-') {
      words.push(word)
      if (!stops) continue
      words.push(...args.slice(at + 1))
      break
    }
    if (word === '--help' || word === '-h') return { flags, words, behind, help: true, warnings }
    const letters = switches(word, options)
    for (const { name } of letters) flags[name] = true
    if (letters.length > 0) continue
    const [spelled = '', inline] = word.split(/=(.*)/s)
    const option = options.find((one) => spelled === `--${one.name}` || spelled === `-${one.short}`)
    if (option === undefined) throw new UnknownFlag(spelled)
    const shown = `--${option.name}`
    if (option.value === undefined) {
      if (inline !== undefined) throw new UsageError(`${shown} takes no value`)
      flags[option.name] = true
      continue
    }
    const value = inline ?? args[++at]
    if (value === undefined || (inline === undefined && value === '--'))
      throw new UsageError(`${shown} needs a value: ${shown} ${option.value}`)
    if (value === '') throw new UsageError(`${shown} has an empty value: ${shown} ${option.value}`)
    const small =
      option.least === undefined ? undefined : smallSize(value.slice(value.lastIndexOf(':') + 1), option.least)
    if (small !== undefined) warnings.push(`${shown} ${value}: ${small}`)
    if (option.list !== undefined) {
      const others = flags[option.list] as readonly { name: string; value: string }[] | undefined
      flags[option.list] = [...(others ?? []), { name: option.name, value }]
      continue
    }
    const known = flags[option.name]
    if (option.many) flags[option.name] = [...((known as string[] | undefined) ?? []), value]
    else if (known !== undefined) throw new UsageError(`${shown} is given twice`)
    else flags[option.name] = read(option, value)
  }
  const absent = options.find((one) => one.required && flags[one.name] === undefined)
  if (absent !== undefined) throw new UsageError(`--${absent.name} ${absent.value} is missing`)
  return { flags, words, behind, help: false, warnings }
}

/** Letters that are written together, as in `-it`; none, where one of them is no switch. */
function switches(word: string, options: readonly Option[]): readonly Option[] {
  if (!/^-[A-Za-z]{2,}$/.test(word)) return []
  const named = [...word.slice(1)].map((letter) => options.find(({ short }) => short === letter))
  return named.every((one) => one !== undefined && one.value === undefined) ? (named as Option[]) : []
}

function read({ name, kind }: Option, text: string): string | number {
  if (kind === undefined) return text
  const value = readValue(kind, text)
  if (typeof value === 'object') throw new UsageError(`--${name} ${text}: ${value.fault}`)
  return value
}
