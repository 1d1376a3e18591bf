/** What enters a living sandbox by its own program: which sandbox it takes for one, and what it leaves when its caller is gone. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { namespaceHandles } from '../../src/plan/handles.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { as, living } from '../support/living.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { callers, root } from '../support/user.js'

for (const caller of callers) {
  describe(`what enters a sandbox, by ${caller.name}`, () => {
    test('takes no directory for a process that is not one of /proc', {
      skip: caller === root && notRoot,
    }, async (t) => {
      const policy: StrictPolicy =
        caller === root ? { preset: 'system', namespaces: { user: 'host' } } : { preset: 'system' }
      const { directory, place, start, entrant } = await living(t, caller, 'forged', policy)
      const forged = join(directory, 'process')
      mkdirSync(join(forged, 'fd'), { recursive: true })
      writeFileSync(join(forged, 'stat'), readFileSync(`${place}/stat`))
      // Those of the caller: root would be let into them, and be on the host.
      for (const [name, fd] of Object.entries(namespaceHandles))
        symlinkSync(`/proc/self/ns/${name === 'mount' ? 'mnt' : name}`, join(forged, 'fd', String(fd)))
      const enter = (target: string) =>
        spawnSync(entrant, [target, start, '/', '/usr/bin/true'], { encoding: 'utf8', env: {}, ...as(caller) })
      assert.equal(enter(place).status, 0)
      const { status, stderr } = enter(forged)
      assert.deepEqual(
        [status, stderr.split('\n')[0]],
        [125, 'vial: cannot find the sandbox: No such file or directory'],
      )
    })

    // The reaper stands for the pid 1 of a container, which may be any program.
    test('leaves nothing for others to reap when its caller is killed', {
      skip: notInstalled('python3'),
    }, async (t) => {
      const { place, start, entrant, monitor } = await living(t, caller, 'orphan', { preset: 'system' })
      const script = `
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
caller = subprocess.Popen(['sh', '-c', '"$@" & echo; wait', 'sh', *sys.argv[1:]], stdout=subprocess.PIPE, env={})
caller.stdout.readline()
ours = lambda: [pid for pid in os.listdir('/proc') if pid.isdigit() and entered(pid)]
def entered(pid):
    try: return open(f'/proc/{pid}/cmdline', 'rb').read() == b'\\0'.join(map(os.fsencode, sys.argv[5:])) + b'\\0'
    except OSError: return False
while not ours(): time.sleep(0.01)
caller.kill(); caller.wait()
# The entrant itself is in no pid namespace of the sandbox.
pid, status = os.waitpid(-1, 0)
print('told', os.WIFEXITED(status) or os.WIFSIGNALED(status), flush=True)
sys.stdin.read()
`
      const reaper = spawn(
        'python3',
        ['-c', script, entrant, place, start, '/', '/usr/bin/sleep', `600.${process.pid}`],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
          ...as(caller),
        },
      )
      t.after(() => reaper.kill('SIGKILL'))
      await once(reaper.stdout, 'data')
      monitor.kill('SIGTERM')
      const ended = once(monitor, 'exit')
      const late = new Promise((resolve) =>
        setTimeout(() => resolve('it waits for a process that nobody reaps'), 20_000).unref(),
      )
      assert.deepEqual(await Promise.race([ended, late]), [0, null])
    })
  })
}
