/** Values that several keys of a policy have: paths, ids, sizes, modes. */
import * as v from 'valibot'
import { modeFault, parseMode, parseSize, type Size, sizeFault } from './units.js'

/** A value that is checked as it is written, and is another from there on, such as a number of bytes. */
export function parsed<Written, Parsed>(
  fault: (value: unknown) => string | undefined,
  parse: (written: Written) => Parsed | undefined,
) {
  return v.pipe(
    v.custom<Written>(
      (value) => fault(value) === undefined,
      ({ input }) => fault(input)!,
    ),
    v.transform(parse as (written: Written) => Parsed),
  )
}

const longestPath = 4095

const noNul = v.check<string, string>((text) => !text.includes('\0'), 'has a NUL byte')
export const text = v.pipe(v.string(), noNul)
export const environmentName = v.pipe(text, v.regex(/^[^=]+$/, 'must be a variable name'))
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

/** Bytes. */
export const size = parsed<Size, number>(sizeFault, parseSize)
/** Above 0, which tmpfs(5) takes for no limit at all. */
export const positiveSize = parsed<Size, number>((value) => sizeFault(value, 1), parseSize)
export const mode = parsed<number | string, number>(modeFault, parseMode)
export const id = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(0, 'must not be negative'),
  v.maxValue(2 ** 32 - 2, 'is too large for an id'),
)
export const fd = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 20))
export const flag = v.boolean()
