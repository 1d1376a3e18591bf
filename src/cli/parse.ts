/** Words of a command line → flags and the rest, or one clear sentence. */
import { didYouMean } from '../policy/closest.js'
import type { Option } from './options.js'

export interface Parsed {
  readonly flags: Readonly<Record<string, Flag>>
  readonly words: readonly string[]
  /** What follows `--`, unless the words themselves are a command. */
  readonly behind: readonly string[]
  readonly help: boolean
}

// Not the parseArgs of node:util: it goes on behind the command's name, takes `-abc` apart, and loading it takes a hundredth of Node's start.

/** What one flag, or one list of flags, comes to. */
type Flag = string | number | true | readonly string[] | readonly { readonly name: string; readonly value: string }[]

/** A command line that cannot be understood. */
export class UsageError extends Error {}

/**
 * @param stops the first word that is no flag ends the flags: all from there on are somebody else's
 * @throws {UsageError}
 */
export function parse(args: readonly string[], options: readonly Option[], stops: boolean): Parsed {
  const flags: Record<string, Flag> = {}
  const words: string[] = []
  const behind: string[] = []
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
    if (word === '--help' || word === '-h') return { flags, words, behind, help: true }
    const [spelled = '', inline] = word.split(/=(.*)/s)
    const option = options.find((one) => spelled === `--${one.name}` || spelled === `-${one.short}`)
    if (option === undefined) throw new UsageError(unknown(spelled, options))
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
    if (option.list !== undefined) {
      const others = flags[option.list] as readonly { name: string; value: string }[] | undefined
      flags[option.list] = [...(others ?? []), { name: option.name, value }]
      continue
    }
    const known = flags[option.name]
    if (option.many) flags[option.name] = [...((known as string[] | undefined) ?? []), value]
    else if (known !== undefined) throw new UsageError(`${shown} is given twice`)
    else flags[option.name] = option.number ? numberOf(shown, value) : value
  }
  const absent = options.find((one) => one.required && flags[one.name] === undefined)
  if (absent !== undefined) throw new UsageError(`--${absent.name} ${absent.value} is missing`)
  return { flags, words, behind, help: false }
}

function numberOf(shown: string, value: string): number {
  const number = Number(value)
  if (value.trim() === '' || !Number.isFinite(number)) throw new UsageError(`${shown}: ${value} is no number`)
  return number
}

function unknown(spelled: string, options: readonly Option[]): string {
  const names = options.flatMap((one) => [`--${one.name}`, ...(one.short === undefined ? [] : [`-${one.short}`])])
  return `there is no flag ${spelled}${didYouMean(spelled, [...names, '--help'])}`
}
