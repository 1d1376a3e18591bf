/** What is done to a sandbox that runs, against the spawn of a static program. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile } from '../src/compile/compile.js'
import { sandbox } from '../src/index.js'
import { hostArchitecture } from '../src/host/thisHost.js'
import { mounter } from '../src/launcher/mounter.js'
import { targetOf } from '../src/live/enterSandbox.js'
import { identityOf } from '../src/live/processes.js'
import { assemble } from '../src/machine/assemble.js'
import { namespaceHandles } from '../src/plan/handles.js'
import { policy } from './policy.js'
import { alone, runs, work } from './support/directory.js'
import { exitProgram, median, race, raceHere, type Times } from './support/race.js'
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
  await trees()
}

/** A tree of many small files, on a tmpfs: read by the sandbox's files in one round, and on the host file by file. */
async function trees(): Promise<void> {
  const [directories, each] = [100, 100]
  const onHost = '/dev/shm'
  const top = mkdtempSync(join(onHost, 'vial-bench-'))
  const box = await sandbox({ preset: 'system', filesystem: [{ bind: '/tree', from: top }] }).open()
  try {
    const paths: string[] = []
    for (let directory = 0; directory < directories; directory++) {
      mkdirSync(join(top, String(directory)))
      for (let file = 0; file < each; file++) paths.push(join(top, `${directory}/${file}`))
    }
    for (const path of paths) writeFileSync(path, Buffer.alloc(1024, 'x'))
    const readAll = () => {
      for (const path of paths) readFileSync(path)
    }
    const [inside, outside] = (await raceHere(Math.max(10, Math.ceil(runs / 10)), [
      () => box.files.tree('/tree'),
      readAll,
    ])) as [Times, Times]
    const [most, ratio] = [120e6, 1.5]
    const [mine, plain] = [median(inside), median(outside)]
    table(
      `A tree of ${paths.length} files of 1 KB`,
      ['', 'median', 'least', 'allowed'],
      [
        ['readFileSync of each, on the host', milliseconds(plain), milliseconds(outside[0]!)],
        [
          'box.files.tree',
          milliseconds(mine),
          milliseconds(inside[0]!),
          `<= ${milliseconds(most)}, ${ratio} of that${mine <= most && mine <= ratio * plain ? '' : ' MISSED'}`,
        ],
        ['ratio', (mine / plain).toFixed(2)],
      ],
    )
  } finally {
    await box.close()
    rmSync(top, { recursive: true })
  }
}

await alone(import.meta.url, bench)
