/** What is done to a sandbox that runs, against the spawn of a static program. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../src/compile/compile.js'
import { hostArchitecture } from '../src/host/thisHost.js'
import { mounter } from '../src/launcher/mounter.js'
import { targetOf } from '../src/live/enterSandbox.js'
import { identityOf } from '../src/live/processes.js'
import { assemble } from '../src/machine/assemble.js'
import { namespaceHandles } from '../src/plan/handles.js'
import { policy } from './policy.js'
import { alone, runs, work } from './support/directory.js'
import { exitProgram, median, race, type Times } from './support/race.js'
import { milliseconds, table } from './support/table.js'

export async function bench(): Promise<void> {
  const [vial, program, tree] = ['living', 'mounter', 'mounted'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ]
  mkdirSync(tree)
  writeFileSync(vial, compile(policy, { living: { holds: true } }).bytes, { mode: 0o755 })
  writeFileSync(program, assemble(mounter(hostArchitecture()), hostArchitecture()), { mode: 0o755 })
  const monitor = spawn(vial, [], { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    while (!existsSync(`/proc/${monitor.pid}/fd/${namespaceHandles.mount}`)) {
      if (monitor.exitCode !== null) throw new Error(`the sandbox has ended with ${monitor.exitCode}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    const target = targetOf(identityOf(monitor.pid!)!)
    const switches = process.getuid?.() === 0 ? '0000' : '0100'
    // Each lies on the one before.
    const [spawned, mounted] = race(runs, [[exitProgram()], [program, ...target, switches, tree, 'tmp', 'place']]) as [
      Times,
      Times,
    ]
    const more = median(mounted) - median(spawned)
    const allowed = 0.4e6
    table(
      `A mount into a sandbox that runs, ${runs} in turn`,
      ['', 'median', 'least'],
      [
        ['a static program that exits', milliseconds(median(spawned)), milliseconds(spawned[0]!)],
        ['a mount', milliseconds(median(mounted)), milliseconds(mounted[0]!)],
        ['more than the spawn', milliseconds(more), `<= ${milliseconds(allowed)}${more <= allowed ? '' : ' MISSED'}`],
      ],
    )
  } finally {
    monitor.kill('SIGKILL')
  }
}

await alone(import.meta.url, bench)
