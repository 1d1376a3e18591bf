/** Numbers as bwrap reads them: by strtol(3), which passes over blanks and a plus. */
import { BwrapError } from './state.js'

/** A whole number of 0 to 2^31 - 1; a larger one, which bwrap cuts to an int, can only be a mistake. */
function whole(value: string): number | undefined {
  const number = Number(/^[\t-\r ]*\+?(\d+)$/.exec(value)?.[1])
  return number < 2 ** 31 ? number : undefined
}

export function descriptor(value: string): number {
  const number = whole(value)
  if (number === undefined) throw new BwrapError(`Invalid fd: ${value}`)
  return number
}

export function id(value: string, kind: 'uid' | 'gid'): number {
  const number = whole(value)
  if (number === undefined) throw new BwrapError(`Invalid ${kind}: ${value}`)
  return number
}

export function octal(value: string, option: string): number {
  const digits = /^[\t-\r ]*\+?([0-7]+)$/.exec(value)?.[1]
  const mode = digits === undefined ? Number.NaN : Number.parseInt(digits, 8)
  if (!(mode <= 0o7777)) throw new BwrapError(`${option} takes an octal argument <= 07777`)
  return mode
}

/** strtoull(3) of base 0, which begins with a digit. */
export function bytes(value: string): number {
  const most = 2n ** 63n - 1n
  const number = /^0[0-7]+$/.test(value)
    ? BigInt(`0o${value.slice(1)}`)
    : /^(\d+|0[xX][\da-fA-F]+)$/.test(value)
      ? BigInt(value)
      : 0n
  if (number === 0n || number >= 2n ** 64n) throw new BwrapError('--size takes a non-zero number of bytes')
  if (number > most) throw new BwrapError(`--size (for tmpfs) is limited to ${most}`)
  // The largest is rounded up to one that is none.
  return Math.min(Number(number), 2 ** 63 - 1024)
}
