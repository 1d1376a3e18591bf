/** Values that several keys of a policy have: paths, ids, modes. */
import * as v from 'valibot'
import { positiveSize } from './limitsSchema.js'

const longestPath = 4095

const noNul = v.check<string, string>((text) => !text.includes('\0'), 'has a NUL byte')
export const text = v.pipe(v.string(), noNul)
export const pathText = v.pipe(
  text,
  v.nonEmpty('is empty'),
  v.check((path) => Buffer.byteLength(path) <= longestPath, `is longer than ${longestPath} bytes`),
  v.check((path) => path.split('/').every((name) => Buffer.byteLength(name) <= 255), 'has a name of over 255 bytes'),
)
/** A place inside the sandbox: absolute, without `..`. */
export const inside = v.pipe(
  pathText,
  v.startsWith('/', 'must be an absolute path inside the sandbox'),
  v.check((path) => !path.split('/').includes('..'), 'must not contain ".."'),
)
/** A path of the host; relative ones are relative to the policy's directory. */
export const host = pathText

/** tmpfs(5) takes 0 for no limit at all. */
export const size = positiveSize
export const mode = v.custom<number | string>(
  (value) =>
    typeof value === 'number'
      ? Number.isInteger(value) && value >= 0 && value <= 0o7777
      : typeof value === 'string' && /^0?[0-7]{3,4}$/.test(value),
  'must be an octal mode such as "0755", or a number from 0 to 0o7777',
)
export const id = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(0, 'must not be negative'),
  v.maxValue(2 ** 32 - 2, 'is too large for an id'),
)
export const fd = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 20))
export const flag = v.boolean()
