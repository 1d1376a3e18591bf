/** Removing what is left of a sandbox, with the layers of its work tree. */
import type { FoundSandbox } from './findSandbox.js'
import { removeRecord } from './removeRecord.js'
import { removeWithLayers } from './workLayer.js'

/** As {@link removeRecord}. */
export const removeSandbox = (home: string, found: FoundSandbox): boolean =>
  removeRecord(home, found, (record, remove) =>
    record?.work === undefined ? remove() : removeWithLayers(record.work.layers, found.directory, remove),
  )
