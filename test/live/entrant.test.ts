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

    for (const victim of ['caller', 'monitor', 'waiter'] as const)
      test(`leaves nothing for others to reap when its ${victim} is killed`, {
        skip: notInstalled('python3'),
      }, async (t) => {
        const { place, start, entrant, monitor } = await living(t, caller, `orphan-${victim}`, { preset: 'system' })
        const words = [entrant, place, start, '/', '/usr/bin/sleep', `600.${process.pid}`]
        const outer = spawn('python3', ['-c', neverReaping, victim, ...words], {
          stdio: ['pipe', 'pipe', 'inherit'],
          ...as(caller),
        })
        t.after(() => outer.kill('SIGKILL'))
        await once(outer.stdout, 'data')
        monitor.kill('SIGTERM')
        const ended = once(monitor, 'exit')
        const late = new Promise((resolve) =>
          setTimeout(() => resolve('it waits for a process that nobody reaps'), 20_000).unref(),
        )
        assert.deepEqual(await Promise.race([ended, late]), [0, null])
      })
  })
}

/**
 * It stands for the pid 1 of a container, which reaps nothing: it adopts orphans, and waits for none. It starts what enters a sandbox,
 * waits until the command runs, and kills one of those outside.
 */
const neverReaping = `
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
victim, words = sys.argv[1], sys.argv[2:]
command = b'\\0'.join(map(os.fsencode, words[4:])) + b'\\0'
def read(pid, name):
    try: return open(f'/proc/{pid}/{name}', 'rb').read()
    except OSError: return b''
def parent(pid):
    return int((read(pid, 'stat').rpartition(b')')[2].split() or [0, 0])[1])
running = lambda: next((pid for pid in os.listdir('/proc') if pid.isdigit() and read(pid, 'cmdline') == command), None)
# Of the caller's own making, so that killing it leaves the monitor to us.
caller = subprocess.Popen(['sh', '-c', '"$@" & wait', 'sh', *words], env={})
while running() is None: time.sleep(0.01)
waiter = parent(running())
monitor = parent(waiter)
assert parent(monitor) == caller.pid, (waiter, monitor, caller.pid)
os.kill({'caller': caller.pid, 'monitor': monitor, 'waiter': waiter}[victim], signal.SIGKILL)
print('killed', flush=True)
sys.stdin.read()
`
