/** `vial cp`. */
import { BoxFiles } from '../live/boxFiles.js'
import { FilesHelper } from '../live/filesHelper.js'
import { runningSandbox } from '../live/runningSandbox.js'
import type { Size } from '../policy/units.js'
import { printable } from '../text/printable.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import type { cpOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'

export async function cp([from, to]: readonly string[], { limit }: FlagsOf<typeof cpOptions>): Promise<void> {
  const [source, target] = [insideOf(from), insideOf(to)]
  if (from === undefined || to === undefined || (source === undefined) === (target === undefined))
    throw new UsageError('one of two paths is of a sandbox: vial cp NAME:INSIDE PATH, or vial cp PATH NAME:INSIDE')
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

/** `box:/tmp/a`; undefined: a path of the host, such as `./box:/tmp/a`. */
function insideOf(word = ''): { readonly name: string; readonly path: string } | undefined {
  const [, name, path] = /^([A-Za-z0-9._-]+):(\/.*)$/s.exec(word) ?? []
  return name === undefined || path === undefined ? undefined : { name, path }
}
