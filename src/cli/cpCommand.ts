/** `vial cp`. */
import { createReadStream } from 'node:fs'
import { filesOf } from '../live/filesOf.js'
import type { Copied } from '../live/filesOptions.js'
import { runningSandbox } from '../live/runningSandbox.js'
import type { Size } from '../policy/units.js'
import { printable, quoted } from '../text/printable.js'
import { write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import type { cpOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'

export async function cp([from, to]: readonly string[], { limit }: FlagsOf<typeof cpOptions>): Promise<void> {
  const usage = 'vial cp NAME:INSIDE PATH, or vial cp PATH NAME:INSIDE; PATH may be - for a tar archive'
  if (from === undefined || to === undefined) throw new UsageError(`two paths are needed: ${usage}`)
  const [source, target] = [insideOf(from), insideOf(to)]
  if ((source === undefined) === (target === undefined)) {
    const [which, joint, is] = source === undefined ? ['neither', 'nor', 'is'] : ['both', 'and', 'are']
    throw new UsageError(`${which} ${quoted(from)} ${joint} ${quoted(to)} ${is} of a sandbox: ${usage}`)
  }
  const { record } = runningSandbox((source ?? target)!.name).found
  let end = () => {}
  const ended = new Promise<void>((resolve) => {
    end = resolve
  })
  const files = filesOf(record, ended)
  try {
    const most = limit === undefined ? {} : { limit: limit as Size }
    if (target !== undefined) {
      const copied = from === '-' ? files.unpack(target.path, standardInput()) : files.copyIn(from, target.path)
      tell((await copied).skipped)
    } else if (to === '-') {
      for await (const bytes of files.pack(source!.path, { ...most, skipped: (one) => tell([one]) })) write(1, bytes)
    } else tell((await files.copyOut(source!.path, to, most)).skipped)
  } finally {
    end()
  }
}

/** Not by Node's own stream: text/write.ts says why. */
async function* standardInput(): AsyncGenerator<Buffer> {
  yield* createReadStream('', { fd: 0, autoClose: false })
}

function tell(skipped: Copied['skipped']): void {
  for (const { path, why } of skipped) write(2, `vial: ${printable(`not copied: ${path}: ${why}`)}\n`)
  if (skipped.length > 0) process.exitCode = 1
}

/** `box:/tmp/a`, whether or not that can be a name; undefined: a path of the host, such as `./box:/tmp/a`. */
function insideOf(word: string): { readonly name: string; readonly path: string } | undefined {
  const [, name, path] = /^([^/]*):(\/.*)$/s.exec(word) ?? []
  return name === undefined || path === undefined ? undefined : { name, path }
}
