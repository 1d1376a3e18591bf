/** Sandboxes that others enter, started by the test itself from a compiled vial, and entered by the program that their monitor holds. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import type { TestContext } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { record } from '../../src/launcher/record.js'
import { identityOf } from '../../src/live/processes.js'
import { programHandles } from '../../src/plan/handles.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { type Caller, workDirectory } from './user.js'

/** How a process is spawned as this caller. */
export const as = (caller: Pick<Caller, 'uid' | 'gid'>) =>
  process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}

export interface LivingSandbox {
  readonly directory: string
  readonly monitor: ChildProcess
  /** Of the monitor, in /proc. */
  readonly place: string
  readonly start: string
  /** The program that enters, and its first words. */
  readonly entrant: string
  readonly target: readonly [place: string, start: string]
}

/** Its handles are there before its mounts are: what enters too early would be in what is still the host's root. */
async function running(monitor: ChildProcess): Promise<void> {
  let told = Buffer.alloc(0)
  const status = monitor.stdio[3] as Readable
  for await (const bytes of status.iterator({ destroyOnReturn: false })) {
    told = Buffer.concat([told, bytes as Buffer])
    for (let at = 0; at + record.size <= told.length; at += record.size) {
      const kind = Number(told.readBigUInt64LE(at))
      if (kind !== record.running) continue
      // What it says later goes nowhere.
      status.resume()
      return
    }
  }
  throw new Error(`it does not run: ${told.toString('hex')}`)
}

/** One that runs, until the test is over: held open, or with a command, whose input and output are pipes. */
export async function living(
  t: Pick<TestContext, 'after'>,
  caller: Caller,
  name: string,
  policy: StrictPolicy,
  command: readonly string[] = [],
): Promise<LivingSandbox> {
  const directory = workDirectory(caller, name)
  const vial = join(directory, 'vial')
  const holds = command.length === 0
  const compiled = compile(policy, { living: { holds }, descriptors: { status: 3 } })
  writeFileSync(vial, compiled.bytes, { mode: 0o755 })
  const monitor = spawn(vial, command, {
    stdio: [...(holds ? (['ignore', 'ignore'] as const) : (['pipe', 'pipe'] as const)), 'inherit', 'pipe'],
    ...as(caller),
  })
  t.after(() => monitor.kill('SIGKILL'))
  await running(monitor)
  const place = `/proc/${monitor.pid}`
  const { start } = identityOf(monitor.pid!)!
  return {
    directory,
    monitor,
    place,
    start,
    entrant: `${place}/fd/${programHandles.alone}`,
    target: [place, start],
  }
}
