/** Sizes (`64M`), durations (`500ms`) and modes (`0755`) as people write them. Numbers are bytes and seconds. */

// The digits as bigint: a number may have blanks around it, and `256 MB` would pass.
type Digits = `${bigint}` | `${bigint}.${number}`
type SizeUnit = 'K' | 'M' | 'G' | 'T' | 'k' | 'm' | 'g' | 't'

/** Bytes as a number, or in text: `4096`, `64M`, `1.5G`, `64MiB`; units are powers of 1024. */
export type Size = number | `${bigint}` | `${Digits}${SizeUnit}${'' | 'B' | 'iB'}`

/** Seconds as a number, or a text with its unit: `500ms`, `2s`, `1.5m`, `1h`; without a unit seconds. */
export type Duration = number | `${bigint}` | `${Digits}${'ms' | 's' | 'm' | 'h'}`

const sizeUnits: Record<string, number> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 }

/** Bytes of `64M`, `1.5G`, `4096`; undefined when it is no size. Units are powers of 1024. */
export function parseSize(size: string | number): number | undefined {
  if (typeof size === 'number') return Number.isSafeInteger(size) && size >= 0 ? size : undefined
  const match = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(size)
  if (match === null) return undefined
  const bytes = Math.round(Number(match[1]) * sizeUnits[match[2]!.toUpperCase()]!)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

const timeUnits: Record<string, number> = { '': 1000, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of `2s`, `500ms`, `1.5` (seconds, as a number or, from a command line, in text); undefined when it is no duration. */
export function parseDuration(duration: string | number): number | undefined {
  if (typeof duration === 'number') return duration >= 0 && Number.isFinite(duration) ? duration * 1000 : undefined
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(duration)
  return match === null ? undefined : Number(match[1]) * timeUnits[match[2]!]!
}

/** In 64 bits of nanoseconds fit 584 years. */
const longestMs = 100 * 365 * 86_400_000

/** What is wrong with a size, of a policy or a command line; nothing is wrong: undefined. */
export function sizeFault(value: unknown, least: 0 | 1 = 0): string | undefined {
  const bytes = isQuantity(value) ? parseSize(value) : undefined
  if (bytes === undefined) return 'must be a size such as "64M", or a number of bytes'
  return bytes < least ? 'must not be 0' : undefined
}

/** The same of a time. */
export function timeFault(value: unknown): string | undefined {
  const milliseconds = isQuantity(value) ? parseDuration(value) : undefined
  if (milliseconds === undefined) return 'must be a time such as "2s" or "500ms", or a number of seconds'
  if (milliseconds < 1) return 'must be at least a millisecond'
  return milliseconds > longestMs ? 'must be at most a hundred years' : undefined
}

/** `0755`, `'0755'` → 493; undefined when it is no mode. */
export function parseMode(mode: number | string): number | undefined {
  const bits = typeof mode === 'number' ? mode : /^0?[0-7]{3,4}$/.test(mode) ? Number.parseInt(mode, 8) : -1
  return Number.isInteger(bits) && bits >= 0 && bits <= 0o7777 ? bits : undefined
}

/** What is wrong with a mode. */
export const modeFault = (value: unknown): string | undefined =>
  isQuantity(value) && parseMode(value) !== undefined
    ? undefined
    : 'must be an octal mode such as "0755", or a number from 0 to 0o7777'

/** Whether a value is a text or a number at all, as sizes and durations are. */
const isQuantity = (value: unknown): value is string | number => typeof value === 'string' || typeof value === 'number'
