/** `vial cp`. */
import { BoxFiles } from '../live/boxFiles.js'
import { FilesHelper } from '../live/filesHelper.js'
import { runningSandbox } from '../live/runningSandbox.js'
import type { Size } from '../policy/units.js'
import { printable, quoted } from '../text/printable.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import type { cpOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'

export async function cp([from, to]: readonly string[], { limit }: FlagsOf<typeof cpOptions>): Promise<void> {
  const usage = 'vial cp NAME:INSIDE PATH, or vial cp PATH NAME:INSIDE'
  if (from === undefined || to === undefined) throw new UsageError(`two paths are needed: ${usage}`)
  const [source, target] = [insideOf(from), insideOf(to)]
  if ((source === undefined) === (target === undefined)) {
    const [which, joint, is] = source === undefined ? ['neither', 'nor', 'is'] : ['both', 'and', 'are']
    throw new UsageError(`${which} ${quoted(from)} ${joint} ${quoted(to)} ${is} of a sandbox: ${usage}`)
  }
  const { record } = runningSandbox((source ?? target)!.name).found
  const helper = new FilesHelper(record)
  try {
    const files = new BoxFiles(async () => helper)
    const { skipped } =
      target !== undefined
        ? await files.copyIn(from, target.path)
        : await files.copyOut(source!.path, to, limit === undefined ? {} : { limit: limit as Size })
    for (const { path, why } of skipped) write(2, `vial: ${printable(`not copied: ${path}: ${why}`)}\n`)
    if (skipped.length > 0) process.exitCode = 1
  } finally {
    helper.close()
  }
}

/** `box:/tmp/a`, whether or not that can be a name; undefined: a path of the host, such as `./box:/tmp/a`. */
function insideOf(word: string): { readonly name: string; readonly path: string } | undefined {
  const [, name, path] = /^([^/]*):(\/.*)$/s.exec(word) ?? []
  return name === undefined || path === undefined ? undefined : { name, path }
}
