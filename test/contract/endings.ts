/** How a command comes to its end, as a process of the caller hears of it, through each door. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../../src/compile/compile.js'
import { sandbox } from '../../src/index.js'
import { awaitEnd } from '../../src/live/awaitEnd.js'
import { targetOf } from '../../src/live/enterSandbox.js'
import type { FoundSandbox } from '../../src/live/findSandbox.js'
import { sandboxHome } from '../../src/live/home.js'
import { identityOf } from '../../src/live/processes.js'
import { removeSandbox } from '../../src/live/removeSandbox.js'
import { endOf } from '../../src/live/sandboxEnd.js'
import { startSandbox } from '../../src/live/startSandbox.js'
import { programHandles } from '../../src/plan/handles.js'
import { acceptPolicy } from '../../src/policy/check.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import type { Result } from '../../src/run/result.js'

export type Command = readonly [string, ...string[]]

/** In words that can be compared. */
export interface Endings {
  /** By the library: of a run, of a sandbox with a name, of a command that joined, of one of a pool. */
  readonly heard: Readonly<Record<'once' | 'started' | 'joined' | 'pooled', string>>
  /** By what the vial itself ends as and says: of a run, of a living sandbox's own command, of one that joined. */
  readonly alone: Readonly<Record<'once' | 'living' | 'joined', string>>
}

/** @param scratch a directory of the caller's */
export async function endingsOf(
  policy: StrictPolicy,
  commands: readonly Command[],
  scratch: string,
): Promise<readonly Endings[]> {
  const one = sandbox(policy)
  await using box = await one.open()
  await using pool = await one.pool({ size: 1 })
  const joins = [...targetOf({ pid: box.pid, start: identityOf(box.pid)!.start }), '/']
  const living = join(scratch, 'living')
  mkdirSync(scratch, { recursive: true })
  writeFileSync(living, compile(policy, { living: { holds: false } }).bytes, { mode: 0o755 })
  const vial = await one.compile()
  const endings: Endings[] = []
  for (const command of commands) {
    const [name, ...args] = command
    const [run, named, entered, pooled, byVial, byLiving, byEntrant] = await Promise.all([
      inWords(one.run(name, args)),
      inWords(started(policy, command)),
      inWords(box.run(name, args)),
      inWords(pool.run(name, args)),
      endAlone(vial, command),
      endAlone(living, command),
      endAlone(`/proc/${box.pid}/fd/${programHandles.alone}`, [...joins, ...command]),
    ])
    endings.push({
      heard: { once: run, started: named, joined: entered, pooled },
      alone: { once: byVial, living: byLiving, joined: byEntrant },
    })
  }
  return endings
}

async function started(
  policy: StrictPolicy,
  command: Command,
): Promise<Pick<Result, 'exitCode' | 'signal' | 'verdict'>> {
  const home = sandboxHome()
  const name = 'ending'
  await startSandbox({ name, policy: acceptPolicy(policy), base: '/', command })
  const found = (await awaitEnd(home, name)) as FoundSandbox & { readonly state: 'ended' }
  const end = endOf(found)
  removeSandbox(home, found)
  return end
}

async function inWords(ended: Promise<Pick<Result, 'exitCode' | 'signal' | 'verdict'>>): Promise<string> {
  try {
    const { exitCode, signal, verdict } = await ended
    return JSON.stringify({ exitCode, signal, verdict })
  } catch (error) {
    const { name, message, code, stage } = error as Error & Readonly<Record<string, unknown>>
    return JSON.stringify({ name, message, code, stage })
  }
}

async function endAlone(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/bin:/bin' } })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  const [status, signal] = await once(child, 'close')
  return JSON.stringify({ status, signal, said })
}
