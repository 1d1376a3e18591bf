/** Sandboxes that others enter, started by the test itself from a compiled vial, and entered by the program that their monitor holds. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { identityOf } from '../../src/live/processes.js'
import { namespaceHandles, programHandles } from '../../src/plan/handles.js'
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
  writeFileSync(vial, compile(policy, { living: { holds } }).bytes, { mode: 0o755 })
  const monitor = spawn(vial, command, {
    stdio: holds ? ['ignore', 'ignore', 'inherit'] : ['pipe', 'pipe', 'inherit'],
    ...as(caller),
  })
  t.after(() => monitor.kill('SIGKILL'))
  const place = `/proc/${monitor.pid}`
  // The handles come last.
  while (!existsSync(`${place}/fd/${namespaceHandles.mount}`)) {
    if (monitor.exitCode !== null) throw new Error(`it has ended with ${monitor.exitCode}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
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
