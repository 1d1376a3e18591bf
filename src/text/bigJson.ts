/** Whole numbers that JSON has no room for, as digits. */
import * as v from 'valibot'

/** For JSON.stringify. */
export const asDigits = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value)

export const digits = v.pipe(
  v.string(),
  v.digits(),
  v.transform((text) => BigInt(text)),
)
