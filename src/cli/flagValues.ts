/** How the value of a flag is written: one form for all flags, which is that of a policy, where a size or a time that sets a key is parsed. */
import { parseDuration, sizeFault, timeFault } from '../policy/units.js'

export type ValueKind = keyof typeof kinds

interface Kind {
  /** What is wrong with a text; nothing is wrong: undefined. */
  readonly fault: (text: string) => string | undefined
  /** What the flag comes to; default: the text as it is. */
  readonly read?: (text: string) => number | undefined
}

/** Digits alone: Number() would take `0x10`, `1e3` and blanks. What is out of range is a fault of the policy. */
const whole: Kind = {
  fault: (text) => (/^-?\d+$/.test(text) ? undefined : 'must be a whole number'),
  read: Number,
}

const kinds = {
  size: { fault: (text) => sizeFault(text) },
  time: { fault: timeFault },
  milliseconds: { fault: timeFault, read: parseDuration },
  count: whole,
  id: whole,
  cores: {
    fault: (text) => (/^-?\d+(\.\d+)?$/.test(text) ? undefined : 'must be a number of cores, such as 0.5'),
    read: Number,
  },
} as const satisfies Readonly<Record<string, Kind>>

/**
 * What a flag of this kind comes to.
 * @returns the text as it is where a policy takes it so
 */
export function readValue(kind: ValueKind, text: string): string | number | { readonly fault: string } {
  const { fault, read }: Kind = kinds[kind]
  const wrong = fault(text)
  return wrong === undefined ? (read?.(text) ?? text) : { fault: wrong }
}

/** What to say of a bare number of bytes, fewer than `least`, that was surely meant in another unit. It is taken as it is written. */
export function smallSize(text: string, least: number): string | undefined {
  const bytes = /^\d+$/.test(text) ? Number(text) : 0
  if (bytes === 0 || bytes >= least) return undefined
  return `that is ${bytes} ${bytes === 1 ? 'byte' : 'bytes'}; for mebibytes write ${text}M`
}
