/** The rows of commands and flags as a script of a shell needs them: how each is typed, and what may come where. */
import type { Offer } from './offers.js'
import type { Option } from './policyFlags.js'

/** What completion needs of a row of commands.ts. */
export interface CommandRow {
  readonly name: string
  readonly about: string
  readonly words: number | 'command' | 'all'
  readonly takesCommand?: true
  readonly offers?: readonly Offer[]
  readonly options: readonly Option[]
}

export interface Flag {
  /** With their dashes, the long one first. */
  readonly spellings: readonly string[]
  readonly about: string
  readonly again: boolean
  /** What it is called in help, and what is offered. Undefined: a switch. */
  readonly value?: { readonly name: string; readonly offer: Offer }
}

export interface Completed {
  readonly name: string
  readonly about: string
  readonly flags: readonly Flag[]
  /** What each of its words may be. */
  readonly words: readonly Offer[]
  /** Any number of words may follow, each as the last of `words`. */
  readonly more: boolean
  /** Where a command line begins: as the word behind `words`, which are then the end of the flags; or behind `--` only. */
  readonly runs: 'behindWords' | 'behindDashes' | undefined
}

const help: Flag = { spellings: ['--help', '-h'], about: 'print what this command takes', again: false }
/** Of vial itself, without a command: vial.ts reads them. */
export const ownFlags: readonly Flag[] = [
  { ...help, about: 'print the commands' },
  { spellings: ['--version', '-V'], about: 'print the version', again: false },
]

export function completedOf(rows: readonly CommandRow[]): Completed[] {
  const all = rows.map(({ name, about, words, takesCommand, offers = [], options }): Completed => {
    const runs = words === 'command' ? 'behindWords' : takesCommand ? 'behindDashes' : undefined
    // It reads its flags itself.
    if (words === 'all') return { name, about, flags: [], words: [], more: false, runs: 'behindWords' }
    const more = offers.length > 0 && typeof words === 'number' && words > offers.length
    return { name, about, flags: [...options.map(flagOf), help], words: offers, more, runs }
  })
  const names = { words: rows.map(({ name }) => name) }
  return [
    ...all,
    { name: 'help', about: 'Print what a command takes', flags: [], words: [names], more: false, runs: undefined },
  ]
}

const flagOf = ({ name, short, about, many, list, value, offers }: Option): Flag => ({
  spellings: [`--${name}`, ...(short === undefined ? [] : [`-${short}`])],
  about,
  again: many === true || list !== undefined,
  ...(value === undefined ? {} : { value: { name: value, offer: offers ?? {} } }),
})

/** Rows with the same text behind them, as one: `key | key`. */
export function grouped(pairs: readonly (readonly [key: string, text: string])[], between: string): [string, string][] {
  const keys = new Map<string, string[]>()
  for (const [key, text] of pairs) keys.set(text, [...(keys.get(text) ?? []), key])
  return [...keys].map(([text, those]) => [those.join(between), text])
}
