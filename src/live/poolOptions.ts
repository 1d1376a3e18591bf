/** What a pool and its commands may be told, checked. */
import * as v from 'valibot'
import { pathOf } from '../policy/check.js'
import type { OwnLimits } from '../policy/ownOptions.js'
import { below, normal } from '../policy/path.js'
import { inside, mode } from '../policy/values.js'
import { ownOptions, type RunOptions, runOptions } from '../run/runOptions.js'
import { Fault, OptionError } from '../text/error.js'
import { object, wrongValue } from '../text/shapes.js'

/** How many sandboxes a pool has. */
export interface PoolOptions {
  /** Sandboxes that are kept ready: built, and waiting for a command. Default 4. */
  readonly size?: number
  /** Commands that run at once; more wait for their turn. Default: as many as `size`. */
  readonly max?: number
}

/** A file that a command finds. */
export interface PoolFile {
  /** What is in it. */
  readonly content: string | Uint8Array
  /** Its mode, such as `0o755`; default 0644. */
  readonly mode?: number | string
}

/** How a pool runs a command. */
export interface PoolRunOptions extends Omit<RunOptions, 'stdin' | 'stdout' | 'stderr'> {
  /**
   * Files that are written before the command starts, by their absolute paths inside; directories above them are made. At most 1,000, of
   * 16 MiB together. Default: none.
   */
  readonly files?: Readonly<Record<string, string | Uint8Array | PoolFile>>
  /** Limits of this command, none of them more than the policy's: as of one that enters an open sandbox, but for `core`. Default: those of the policy. */
  readonly limits?: Omit<OwnLimits, 'core'>
}

/** A file as it is to be written. */
export interface InlineFile {
  readonly path: string
  readonly content: string | Uint8Array
  readonly mode: number
}

export const mostFiles = { count: 1000, bytes: 2 ** 24 } as const

const { stdin: _, stdout: __, stderr: ___, ...collected } = runOptions
/** `limits` and `files` are checked by what reads them. */
export const poolRunOptions = { ...collected, limits: ownOptions.limits, files: ownOptions.limits }

const isContent = (value: unknown): value is PoolFile['content'] =>
  typeof value === 'string' || value instanceof Uint8Array
const content = v.custom<PoolFile['content']>(isContent, 'must be text or bytes')
const fileSchema = object({ content, mode: v.optional(mode, 0o644) })

/** The filter of system calls, which may be loaded before a command is known, keeps `core` as it is. @throws {OptionError} */
export function refuseCore({ limits }: PoolRunOptions): void {
  if (limits !== undefined && 'core' in limits)
    throw OptionError.at(new Fault('limits.core', 'is for all commands of a pool alike: its policy sets it'))
}

/** @throws {OptionError} that names the first fault */
export function parseFiles(files: PoolRunOptions['files']): readonly InlineFile[] {
  if (files === undefined) return []
  if (typeof files !== 'object' || files === null || Array.isArray(files))
    throw OptionError.at(new Fault('files', 'must be an object: paths inside, and what is in each file'))
  const given = Object.entries(files)
  if (given.length > mostFiles.count) throw OptionError.at(new Fault('files', `must be at most ${mostFiles.count}`))
  const all = given.map(([path, file]) => {
    const place = below('files', path)
    return {
      path: normal(checked(inside, path, place)),
      ...checked(fileSchema, isContent(file) ? { content: file } : file, place),
    }
  })
  const bytes = all.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0)
  if (bytes > mostFiles.bytes)
    throw OptionError.at(new Fault('files', `must be at most ${mostFiles.bytes} bytes together`))
  return all
}

const count = (least: number) =>
  v.pipe(
    v.number(),
    v.integer('must be a whole number'),
    v.minValue(least, `must be at least ${least}`),
    v.maxValue(100, 'must be at most 100'),
  )
const poolSchema = object({ size: v.optional(count(1), 4), max: v.optional(count(1)) })

/** @throws {OptionError} that names the first fault */
export function parsePool(options: PoolOptions): Required<PoolOptions> {
  const { size, max = size } = checked(poolSchema, options)
  return { size, max }
}

/** What a schema makes of a value. `place`: where that is. */
function checked<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  place = '',
): v.InferOutput<Schema> {
  const { issues, output } = v.safeParse(schema, value, { message: wrongValue })
  const [issue] = issues ?? []
  if (issue === undefined) return output as v.InferOutput<Schema>
  const within = issue.path === undefined ? '' : pathOf(issue)
  throw OptionError.at(new Fault([place, within].filter((part) => part !== '').join('.') || 'options', issue.message))
}
