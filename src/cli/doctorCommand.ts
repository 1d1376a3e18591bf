/** `vial doctor`. */
import { release } from 'node:os'
import type { Finding } from '../doctor/finding.js'
import { findings } from '../doctor/findings.js'
import { callerName } from '../host/thisHost.js'
import { printJson, write } from '../text/write.js'

export async function doctor(flags: { readonly json?: true }): Promise<void> {
  const found = await findings()
  const works = found[0]!.works
  const about = { kernel: release(), architecture: process.arch, node: process.versions.node, caller: callerName() }
  if (flags.json) printJson({ ...about, works, findings: found })
  else write(1, table(about, found))
  if (!works) process.exitCode = 1
}

function table(
  { kernel, architecture, node, caller }: Readonly<Record<string, string>>,
  found: readonly Finding[],
): string {
  const column = Math.max(...found.map(({ name }) => name.length)) + 2
  const rows = found.flatMap(({ name, works, detail = '', without, repair, further }) => [
    `${works ? 'yes' : 'no '}  ${name.padEnd(column)}${detail}`.trimEnd(),
    ...(without === undefined ? [] : [`       ${works ? 'not available' : 'needed for'}: ${without}`]),
    ...(repair === undefined ? [] : [`       repair: ${repair}`]),
    ...(further === undefined ? [] : [`       ${further}`]),
  ])
  return [`Linux ${kernel} on ${architecture}, Node ${node}, as ${caller}`, '', ...rows, ''].join('\n')
}
