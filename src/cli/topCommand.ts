/** `vial top`: what the sandboxes that have names use, measured again and again. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BoxUsage, usageOf } from '../live/boxUsage.js'
import { namedSandboxes } from '../live/namedSandboxes.js'
import { removeSandbox } from '../live/removeSandbox.js'
import type { RunningSandbox } from '../live/runningSandbox.js'
import { columns } from '../text/columns.js'
import { HostError } from '../text/error.js'
import { printable } from '../text/printable.js'
import { printJson, write } from '../text/write.js'
import type { topOptions } from './liveFlags.js'
import { megabytes } from './namedCommands.js'
import type { FlagsOf } from './policyFlags.js'

/** Milliseconds. */
const defaultPause = 1000

/** One of them, as `--json` has it. */
interface Row {
  readonly name: string
  /** Of one processor, since the last look; more with several. */
  readonly cpuPercent: number
  readonly usage: BoxUsage
  readonly command: readonly string[] | undefined
}

export async function top({ every = defaultPause, count, json }: FlagsOf<typeof topOptions>): Promise<void> {
  const isScreen = process.stdout.isTTY && !json
  const rounds = count ?? (isScreen ? Number.POSITIVE_INFINITY : 1)
  let before = look()
  for (let round = 0; round < rounds; round++) {
    await sleep(every)
    const now = look()
    const rows = compared(before, now)
    if (json) printJson(rows)
    // From the upper left corner, and nothing of the last one behind it.
    else write(1, isScreen ? `\x1b[H${shown(rows).replaceAll('\n', '\x1b[K\n')}\x1b[J` : shown(rows))
    before = now
  }
}

interface Look {
  /** Milliseconds. */
  readonly at: number
  readonly found: readonly { readonly sandbox: RunningSandbox; readonly usage: BoxUsage }[]
}

function look(): Look {
  const found = namedSandboxes(removeSandbox).found.flatMap((sandbox) => {
    if (sandbox.state !== 'running') return []
    try {
      return [{ sandbox, usage: usageOf(sandbox.record) }]
    } catch (error) {
      // It has ended meanwhile.
      if (error instanceof HostError) return []
      throw error
    }
  })
  return { at: performance.now(), found }
}

function compared(before: Look, now: Look): Row[] {
  const rows = now.found.map(({ sandbox, usage }): Row => {
    const { name, record } = sandbox
    const last = before.found.find((one) => one.sandbox.record.monitor.start === record.monitor.start)
    const used = last === undefined ? 0 : Math.max(0, usage.cpuMs - last.usage.cpuMs)
    return { name, cpuPercent: (100 * used) / (now.at - before.at), usage, command: record.command }
  })
  return rows.sort((a, b) => b.cpuPercent - a.cpuPercent)
}

function shown(rows: readonly Row[]): string {
  const head = ['NAME', 'CPU', 'CPU TIME', 'MEMORY', 'PROCESSES', 'COMMAND']
  return columns([
    head,
    ...rows.map(({ name, cpuPercent, usage, command = ['(none)'] }) => [
      name,
      `${cpuPercent.toFixed(0)}%`,
      `${(usage.cpuMs / 1000).toFixed(1)}s`,
      megabytes(usage.memory),
      String(usage.processes),
      printable(command.join(' ')).slice(0, 60),
    ]),
  ])
}
