/** The state of a work tree as a file, for those that several processes work on: whole, or as it was before. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../cache/wholeFile.js'
import { attempt } from '../text/attempt.js'
import { asDigits, digits } from '../text/bigJson.js'
import { HostError } from '../text/error.js'
import type { WorkPlace, WorkState } from './workState.js'

const fileName = 'state.json'

const layer = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
const line = v.object({ lower: v.array(layer), since: digits })
const asMap = <Value extends v.GenericSchema>(value: Value) =>
  v.pipe(
    v.array(v.tuple([v.string(), value])),
    v.transform((entries) => new Map(entries as [string, v.InferOutput<Value>][])),
  )
const schema = v.object({
  version: v.literal(1),
  /** The highest number that a layer has had. */
  last: layer,
  place: v.object({
    top: v.object({ path: v.string(), dev: digits, ino: digits }),
    inside: v.string(),
    protected: v.array(v.string()),
  }),
  state: v.object({
    base: line,
    line,
    layer,
    snapshots: asMap(line),
    committed: asMap(digits),
    next: v.optional(v.object({ line, layer, snapshot: v.optional(v.string()) })),
    committing: v.optional(v.array(v.string())),
  }),
})

export interface KeptState {
  readonly last: number
  readonly place: WorkPlace
  readonly state: WorkState
}

/** @throws {Error} of Node's, when there is no room */
export function writeState(directory: string, kept: KeptState): void {
  const text = JSON.stringify({ version: 1, ...kept }, (key, value: unknown) =>
    value instanceof Map ? [...value] : asDigits(key, value),
  )
  replaceFile(join(directory, fileName), Buffer.from(text), 0o600)
}

/** @throws {HostError} when there is none that vial wrote */
export function readState(directory: string): KeptState {
  const text = attempt(() => readFileSync(join(directory, fileName), 'utf8'))
  const read = text === undefined ? undefined : attempt(() => v.parse(schema, JSON.parse(text)))
  if (read === undefined) throw new HostError(`what is known of the work tree is gone or damaged, in ${directory}`)
  return read
}
