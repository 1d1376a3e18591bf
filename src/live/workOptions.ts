/** What a work tree, its diff and its commit are asked for. */
import * as v from 'valibot'
import { pathOf } from '../policy/check.js'
import { flag, host, inside as place, pathText } from '../policy/values.js'
import { Fault, OptionError } from '../text/error.js'
import { object, wrongValue } from '../text/shapes.js'

/** A directory of the host that a box works on in a layer. */
export interface WorkOptions {
  /** The directory. It is changed by {@link Box.commit} alone. */
  readonly path: string
  /** Its place inside; default: the same. */
  readonly inside?: string | undefined
  /** Names that are never committed, with all in them, at whatever depth they lie. Default: {@link protectedNames}. */
  readonly protect?: readonly string[] | undefined
}

/** What is told of the changes. */
export interface DiffOptions {
  /** Each file and link comes with a unified diff. Default: without. */
  readonly text?: boolean | undefined
}

/** What is committed. */
export interface CommitOptions {
  /** Paths of the diff; of a directory, with all that is in it. Default: all. */
  readonly only?: readonly string[] | undefined
  /** What becomes of paths that were changed on the host since the box was opened: `refuse` (default) is an error, and nothing is written. */
  readonly conflict?: 'refuse' | 'overwrite' | undefined
}

const protectedName = v.pipe(
  pathText,
  v.check(
    (name) => name.split('/').every((part) => !['', '.', '..'].includes(part)),
    'must be names with "/" between them, none of them empty, "." or ".."',
  ),
)
export const workSchema = object({ path: host, inside: v.optional(place), protect: v.optional(v.array(protectedName)) })
export const snapshotSchema = object({
  name: v.optional(
    v.pipe(
      v.string(),
      v.regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
        'must be 1 to 64 letters, digits, ".", "_" and "-", of which the first is a letter or a digit',
      ),
    ),
  ),
})
export const diffSchema = object({ text: v.optional(flag) })
export const commitSchema = object({
  only: v.optional(v.array(v.string())),
  conflict: v.optional(v.picklist(['refuse', 'overwrite'], 'must be "refuse" or "overwrite"')),
})

/** @throws {OptionError} that names the key, below `name` */
export function checked<const Schema extends v.GenericSchema>(name: string, schema: Schema, given: unknown) {
  const { issues, output } = v.safeParse(schema, given, { message: wrongValue })
  const [issue] = issues ?? []
  if (issue === undefined) return output as v.InferOutput<Schema>
  const path = pathOf(issue)
  throw OptionError.at(new Fault(path === 'policy' ? name : `${name}.${path}`, issue.message))
}
