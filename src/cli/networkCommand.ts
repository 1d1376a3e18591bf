/** `vial network`. */
import { attach } from '../live/attachSandbox.js'
import type { BoxNetwork } from '../live/boxNetwork.js'
import { columns } from '../text/columns.js'
import { printable } from '../text/printable.js'
import { printJson, write } from '../text/write.js'
import { UsageError } from './commandLine.js'
import type { networkOptions } from './liveFlags.js'
import type { FlagsOf } from './policyFlags.js'

export async function network(
  [name]: readonly string[],
  { allow, deny, json }: FlagsOf<typeof networkOptions>,
): Promise<void> {
  if (name === undefined) throw new UsageError('a name is needed: vial network NAME')
  const { network } = attach(name)
  if (allow !== undefined) await network.allow(allow)
  if (deny !== undefined) await network.deny(deny)
  const summary = await network.summary()
  if (json) printJson({ ports: network.ports, paths: network.paths, ...summary })
  else if (allow === undefined && deny === undefined) write(1, shown(summary, [...network.ports, ...network.paths]))
}

type Summary = Awaited<ReturnType<BoxNetwork['summary']>>

function shown({ allowed, bytesIn, bytesOut, refused, others }: Summary, places: readonly (number | string)[]): string {
  const lines = [`${allowed} allowed, ${bytesIn} bytes in and ${bytesOut} out of those that have ended`]
  if (places.length > 0) lines.push(`published at ${places.map(String).map(printable).join(', ')}`)
  if (refused.length === 0) return `${lines.join('\n')}\nnothing was refused\n`
  const rows = refused.map(({ destination, count, reason, flag = '' }) =>
    [destination, String(count), reason, flag].map(printable),
  )
  if (others > 0) lines.push(`${others} more were refused than are listed`)
  return `${lines.join('\n')}\n${columns([['REFUSED', 'TIMES', 'WHY', 'WOULD ALLOW IT'], ...rows])}`
}
