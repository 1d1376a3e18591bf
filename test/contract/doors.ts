/** The doors of a living sandbox, as a process of its caller uses them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Sandbox } from '../../src/index.js'
import { targetOf } from '../../src/live/enterSandbox.js'
import { findSandbox } from '../../src/live/findSandbox.js'
import { existingHome } from '../../src/live/home.js'
import { removeSandbox } from '../../src/live/removeSandbox.js'
import { readLog } from '../../src/live/sandboxLog.js'
import { startSandbox } from '../../src/live/startSandbox.js'
import { programHandles } from '../../src/plan/handles.js'
import { payloadEnvironment } from '../../src/plan/payloadEnvironment.js'
import { acceptPolicy } from '../../src/policy/check.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { perRunOf, wholeEnvironment } from '../../src/run/startEnvironment.js'
import { end } from './probe.js'

const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** What a probe wrote, in base64: by init, and by each way in of a command that joined later. */
export interface Told {
  readonly init: string
  readonly joined: Readonly<Record<string, string>>
}

/** @param scratch a directory of the caller's */
export async function throughAllDoors(policy: StrictPolicy, command: string, scratch: string): Promise<Told> {
  const name = 'contract'
  const words = ['word']
  const start = { name, policy: acceptPolicy(policy), base: '/', command: [command, ...words] as const }
  const { monitor, policy: recorded } = await startSandbox(start)
  const perRun = perRunOf(recorded, payloadEnvironment(recorded))
  const box = await Sandbox.attach(name)
  try {
    const said = () => readLog(join(existingHome()!, name))
    while (!said().toString('latin1').endsWith(`${end} 1\n0`)) await new Promise((resolve) => setTimeout(resolve, 5))
    const bare = `/proc/${monitor.pid}/fd/${programHandles.alone}`
    const joined = {
      run: async () => (await box.run(command, words, { encoding: 'buffer' })).stdout,
      spawn: async () => {
        const child = box.spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] })
        const parts: Buffer[] = []
        child.stdout!.on('data', (bytes) => parts.push(bytes))
        await child.result
        return Buffer.concat(parts)
      },
      exec: () => toFile(join(scratch, 'exec'), process.execPath, [vial, 'exec', name, command, ...words]),
      bare: () =>
        toFile(
          join(scratch, 'bare'),
          bare,
          [...targetOf(monitor), perRun.cwd, command, ...words],
          wholeEnvironment(perRun.environment),
        ),
    }
    const told: Record<string, string> = {}
    for (const [door, enter] of Object.entries(joined)) told[door] = (await enter()).toString('base64')
    return { init: said().toString('base64'), joined: told }
  } finally {
    await box.close()
    const home = existingHome()!
    removeSandbox(home, findSandbox(home, name)!)
  }
}

/** With a directory of the host's as a descriptor that none is to get. */
async function toFile(path: string, program: string, args: readonly string[], env = process.env): Promise<Buffer> {
  const [file, outside] = [openSync(path, 'w'), openSync('/', 'r')]
  const child = spawn(program, args, { stdio: ['ignore', file, file, outside], env })
  for (const fd of [file, outside]) closeSync(fd)
  await once(child, 'close')
  return readFileSync(path)
}
