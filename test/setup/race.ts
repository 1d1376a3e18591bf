/** Cases in which /shown/x is exchanged for a link while the sandbox is built: renameat2(2), RENAME_EXCHANGE. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Case } from './cases.js'
import { type Door, type Outcome, start } from './doors.js'
import { makeScene } from './scene.js'

const swap = `import ctypes, os, sys
os.chdir(sys.argv[1]); libc = ctypes.CDLL(None); print('up', flush=True)
while os.getppid() == ${process.pid}: libc.renameat2(-100, b'x', -100, b'y', 2)`

/** Tries each through one door, at most so many times; all in one scene. */
export async function race(
  door: Door,
  list: readonly Case[],
  top: string,
  starts: number,
): Promise<(Outcome | undefined)[]> {
  const scene = makeScene(top, door.caller, door.payload, door.host)
  list[0]!.make(scene)
  const racer = spawn('python3', ['-c', swap, scene.work], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(racer.stdout, 'data')
  try {
    return list.map((one) => {
      const command = door.command(one, scene)
      if (command === undefined) return undefined
      let last: Outcome | undefined
      for (let at = 0; at < starts && last?.reached === undefined; at++) {
        last = start(door, one, scene, command)
        // It stands still meanwhile: what is being removed would be exchanged, too.
        racer.kill('SIGSTOP')
        while (!/\) T /.test(readFileSync(`/proc/${racer.pid}/stat`, 'utf8'))) {}
        for (const name of ['x', 'y']) rmSync(join(scene.work, name, 'new'), { recursive: true, force: true })
        rmSync(join(scene.outside, 'new'), { recursive: true, force: true })
        racer.kill('SIGCONT')
      }
      return last
    })
  } finally {
    racer.kill('SIGKILL')
    await once(racer, 'exit')
  }
}
