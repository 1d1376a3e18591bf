/** The doors of a living sandbox, as a process of its caller uses them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import { Sandbox, sandbox } from '../../src/index.js'
import { targetOf } from '../../src/live/enterSandbox.js'
import { type NamespaceName, namespaces } from '../../src/kernel/namespaces.js'
import { findSandbox } from '../../src/live/findSandbox.js'
import { existingHome } from '../../src/live/home.js'
import { isHoused } from '../../src/live/houseSlots.js'
import { groupOf } from '../../src/live/recordedGroup.js'
import type { SandboxRecord } from '../../src/live/recordFile.js'
import { removeSandbox } from '../../src/live/removeSandbox.js'
import { readLog } from '../../src/live/sandboxLog.js'
import { startSandbox } from '../../src/live/startSandbox.js'
import { programHandles } from '../../src/plan/handles.js'
import { payloadEnvironment } from '../../src/plan/payloadEnvironment.js'
import type { Step, StepKind } from '../../src/plan/step.js'
import { acceptPolicy } from '../../src/policy/check.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { perRunOf, wholeEnvironment } from '../../src/run/startEnvironment.js'
import { withSteps } from '../support/plans.js'
import { end } from './probe.js'

const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** What a probe wrote, in base64. */
export interface Told {
  /** Of the command that init made. */
  readonly init: string
  /** Of a command that joined later, by each way in. */
  readonly joined: Readonly<Record<string, string>>
  /** Of a command in another sandbox of the same policy: of a run of its own, of one that joined an open sandbox, and of a pool. */
  readonly others: Readonly<Record<string, string>>
  /** Whether a house made the sandbox of the pool, as one of a run is made; else the command joined it. */
  readonly housed: boolean
  /** Where the links to the caller's own namespaces lead. */
  readonly callers: readonly string[]
}

/** What an entrant leaves out: steps of a kind, or that by which it joins one namespace. */
export type Left = StepKind | `join ${NamespaceName}`

/**
 * @param scratch a directory of the caller's
 * @param without absent: all doors; else one for each, where what enters is without it
 */
export async function throughDoors(
  policy: StrictPolicy,
  command: string,
  scratch: string,
  without?: readonly Left[],
): Promise<Told> {
  haveHabits()
  const name = 'contract'
  const words = ['word']
  const start = { name, policy: acceptPolicy(policy), base: '/', command: [command, ...words] as const }
  const record = await startSandbox(start)
  const { monitor, policy: recorded } = record
  const perRun = perRunOf(recorded, payloadEnvironment(recorded))
  const box = await Sandbox.attach(name)
  try {
    const said = () => readLog(join(existingHome()!, name))
    while (!said().toString('latin1').endsWith(`${end} 1\n0`)) await new Promise((resolve) => setTimeout(resolve, 5))
    const enterBy = (program: string) => {
      const args = [...targetOf(monitor), perRun.cwd, command, ...words]
      return toFile(join(scratch, 'bare'), program, args, wholeEnvironment(perRun.environment))
    }
    const bare = `/proc/${monitor.pid}/fd/${programHandles.alone}`
    const doors = {
      run: async () => (await box.run(command, words, { encoding: 'buffer' })).stdout,
      spawn: async () => {
        const child = box.spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
        const parts: Buffer[] = []
        child.stdout!.on('data', (bytes) => parts.push(bytes))
        await child.result
        return Buffer.concat(parts)
      },
      exec: () => toFile(join(scratch, 'exec'), process.execPath, [vial, 'exec', name, command, ...words]),
      bare: () => enterBy(bare),
    }
    const weakened = (without ?? []).map((left) => {
      const path = join(scratch, left)
      writeFileSync(path, entrantWithout(left, record), { mode: 0o755 })
      return [left, () => enterBy(path)] as const
    })
    const told: Record<string, string> = {}
    for (const [door, enter] of without === undefined ? Object.entries(doors) : weakened)
      told[door] = (await enter()).toString('base64')
    return {
      init: said().toString('base64'),
      joined: told,
      others: without === undefined ? await inOthers(policy, command) : {},
      housed: isHoused(acceptPolicy(policy)),
      callers: Object.values(namespaces).map(({ file }) => readlinkSync(`/proc/self/ns/${file}`)),
    }
  } finally {
    await box.close()
    const home = existingHome()!
    removeSandbox(home, findSandbox(home, name)!)
  }
}

/** What a command inherits of its caller shows only where it is not what every process has. */
function haveHabits(): void {
  process.umask(0o027)
  setPriority(5)
  for (const [name, value] of Object.entries({ oom_score_adj: 500, timerslack_ns: 100_000, coredump_filter: 0x11 }))
    writeFileSync(`/proc/self/${name}`, `${value}`)
}

async function inOthers(policy: StrictPolicy, command: string): Promise<Told['others']> {
  const one = sandbox(policy)
  const { stdout: run } = await one.run(command, [], { encoding: 'buffer' })
  const box = await one.open()
  const { stdout: opened } = await box.run(command, [], { encoding: 'buffer' }).finally(() => box.close())
  const pool = await one.pool({ size: 1 })
  const { stdout: pooled } = await pool.run(command, [], { encoding: 'buffer' }).finally(() => pool.close())
  return Object.fromEntries(
    Object.entries({ run, opened, pooled }).map(([name, said]) => [name, said.toString('base64')]),
  )
}

const nameOf = (step: Step) => (step.do === 'join' ? (`join ${step.namespace}` as const) : step.do)

function entrantWithout(left: Left, record: SandboxRecord): Uint8Array {
  const group = groupOf(record)
  const options = { base: record.base, enters: true, ...(group === undefined ? {} : { group }) } as const
  const { plan } = compile(record.policy, options)
  return compilePlan(withSteps(plan, (step) => (nameOf(step) === left ? [] : [step]))).bytes
}

/** With a directory of the host's as a descriptor that none is to get. */
async function toFile(path: string, program: string, args: readonly string[], env = process.env): Promise<Buffer> {
  const [file, outside] = [openSync(path, 'w'), openSync('/', 'r')]
  const child = spawn(program, args, { stdio: ['ignore', file, file, outside], env })
  for (const fd of [file, outside]) closeSync(fd)
  await once(child, 'close')
  return readFileSync(path)
}
