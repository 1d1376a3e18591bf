/** A command ends alike, and is heard of alike, whether init made it, it joined later, or a pool had its sandbox ready. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { evaluate } from '../support/evaluate.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'
import type { Command, Endings } from './endings.js'

const sh = (script: string): Command => ['sh', '-c', script]

/** What does nothing to a process whose process group is orphaned, setpgid(2), and that has no handler: signal(7). */
const ignored = [17, 18, 20, 21, 22, 23, 28]
const stops = 19
const signals = Array.from({ length: 64 }, (_, index) => index + 1).filter((signal) => signal !== stops)

/** Each command, and the status that the vial ends with. */
const commands: Readonly<Record<string, readonly [Command, number]>> = {
  ...Object.fromEntries([0, 1, 7, 125, 126, 127, 128, 255].map((code) => [`exit ${code}`, [sh(`exit ${code}`), code]])),
  ...Object.fromEntries(
    signals.map((signal) => [
      `signal ${signal}`,
      [sh(`kill -${signal} $$; exit 3`), ignored.includes(signal) ? 3 : 128 + signal],
    ]),
  ),
  'stopped, and continued by a process beside it': [
    sh(`(until grep -q 'State:.T' /proc/$$/status; do :; done; kill -CONT $$) & kill -STOP $$; exit 3`),
    3,
  ],
  'killed by the filter, with a core': [['sync'], 128 + 31],
  'killed by a limit': [sh('exec head -c 300000 /dev/zero > /tmp/file'), 128 + 25],
  'what it left in the background': [sh('(sleep 600 >/dev/null 2>&1 &); exit 4'), 4],
  'a name that is not on PATH': [['no-such-program'], 127],
  'a path that is not there': [['/no/such/program'], 127],
  'a file below a file': [['/etc/passwd/program'], 126],
  'a script whose interpreter is not there': [['/script'], 127],
  'a file that may not be executed': [['/etc/passwd'], 126],
  'a directory': [['/usr'], 126],
  'a file that is no program': [['/text'], 126],
  'no name': [[''], 127],
  'a name that is too long': [['x'.repeat(5000)], 126],
}

const files = { text: 'neither\n', script: '#!/no/such/interpreter\n' }

function sceneFor(caller: Caller): { readonly directory: string; readonly policy: StrictPolicy } {
  const directory = workDirectory(caller, 'endings')
  chmodSync(directory, 0o700)
  const filesystem = Object.entries(files).map(([name, text]) => {
    const path = join(directory, name)
    writeFileSync(path, text)
    chmodSync(path, 0o755)
    return { bind: `/${name}`, from: path }
  })
  const seccomp: StrictPolicy['seccomp'] = { default: 'allow', rules: [{ calls: ['sync'], do: 'kill' }] }
  return { directory, policy: { preset: 'system', cwd: '/', rlimits: { fsize: '256K' }, seccomp, filesystem } }
}

const endings = new URL('endings.js', import.meta.url).href

for (const caller of callers) {
  describe(`how commands end, by ${caller.name}`, () => {
    test('is the same through all doors', async () => {
      const { directory, policy } = sceneFor(caller)
      const found: readonly Endings[] = await evaluate(
        caller,
        async (_, { endings, policy, commands, directory }) =>
          (await import(endings)).endingsOf(policy, commands, directory),
        { endings, policy, commands: Object.values(commands).map(([command]) => command), directory },
        { env: { XDG_RUNTIME_DIR: directory } },
      )
      for (const [index, [name, [, status]]] of Object.entries(commands).entries()) {
        const { heard, alone } = found[index]!
        assert.equal(JSON.parse(alone.once).status, status, `${name}: ${alone.once}`)
        assert.deepEqual(alone, { once: alone.once, living: alone.once, joined: alone.once }, name)
        assert.deepEqual(heard, { once: heard.once, started: heard.once, joined: heard.once, pooled: heard.once }, name)
      }
    })

    test('is the same by the commands', () => {
      const { directory, policy } = sceneFor(caller)
      const file = join(directory, 'policy.json')
      writeFileSync(file, JSON.stringify(policy))
      const call = (...args: readonly string[]) => {
        const { status, stderr } = vial(caller, args, { env: { XDG_RUNTIME_DIR: directory } })
        return [status, stderr.split('\n')[0]]
      }
      assert.equal(call('start', '--name', 'endings', '--policy', file)[0], 0)
      try {
        for (const name of ['exit 7', 'signal 15', 'a name that is not on PATH', 'a directory', 'no name']) {
          const [command, status] = commands[name]!
          const once = call('run', '--policy', file, '--', ...command)
          assert.equal(once[0], status, name)
          assert.deepEqual(call('exec', 'endings', ...command), once, name)
          const started = call('start', '--name', 'ending', '--foreground', '--policy', file, '--', ...command)
          assert.deepEqual(started, once, name)
          call('rm', '-f', 'ending')
        }
      } finally {
        call('rm', '-f', 'endings')
      }
    })
  })
}
