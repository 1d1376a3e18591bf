/** Programs that call bwrap, with ours in its place: found by PATH, run by Node, with nothing arranged for them. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { frontPath } from '../../src/bwrap/frontFile.js'
import { notInstalled } from '../support/needs.js'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { programs, type RunOptions, runProgram, words } from './tools.js'

const main = resolve(dirname(fileURLToPath(import.meta.url)), '../../src/bwrap/bwrapCommand.js')

/** A directory for PATH with our bwrap in it, and nothing else that is ours. */
function directoryWithBwrap(caller: Caller, form: Form): string {
  const directory = workDirectory(caller, `bin-${form}`)
  writeFileSync(join(directory, 'bwrap'), `#!/bin/sh\nexec ${forms[form]} "$@"\n`, { mode: 0o755 })
  return directory
}

const forms = { script: `${process.execPath} ${main}`, front: frontPath }
type Form = keyof typeof forms
const cases = callers.flatMap((caller) => (['script', 'front'] as const).map((form) => ({ caller, form })))

for (const { caller, form } of cases)
  suite(`clients of the ${form}, as ${caller.name}`, () => {
    const environment = (): Record<string, string> => ({
      PATH: `${directoryWithBwrap(caller, form)}:/usr/bin:/bin`,
      HOME: workDirectory(caller, 'home'),
      LANG: 'C.UTF-8',
    })
    const bwrap = (args: readonly string[], options: RunOptions = {}) =>
      runProgram(caller, join(directoryWithBwrap(caller, form), 'bwrap'), args, { env: environment(), ...options })

    test("a judge's way of calling", { skip: notInstalled('python3') }, async () => {
      const options = [...programs, ...words('--proc /proc --dev /dev --tmpfs /tmp --ro-bind-data 4 /code')]
      const fds = {
        3: { text: options.join('\0') },
        4: { text: 'import sys; print(sys.stdin.read()[::-1], open("/code").read().count("code")); sys.exit(4)' },
      }
      const line = words('--args 3 --die-with-parent --unshare-all --new-session -- python3 /code')
      const { status, stdout, stderr } = await bwrap(line, { fds })
      assert.deepEqual([status, stdout, stderr], [4, ' 2\n', ''])
      // The same arguments with other content, right after.
      const again = await bwrap(line, { fds: { ...fds, 4: { text: 'print("other")' } } })
      assert.deepEqual([again.status, again.stdout], [0, 'other\n'])
    })

    test('what is wrong with a command line is said as bwrap says it', async () => {
      const said = async (line: string, options?: RunOptions) => {
        const { status, stdout, stderr } = await bwrap(words(line), options)
        assert.deepEqual([status, stdout], [1, ''], line)
        return stderr
      }
      assert.equal(await said('--unshare-foo true'), 'bwrap: Unknown option --unshare-foo\n')
      assert.equal(await said('-x true'), 'bwrap: Unknown option -x\n')
      assert.equal(await said('--bind /'), 'bwrap: --bind takes two arguments\n')
      assert.equal(await said('--chdir'), 'bwrap: --chdir takes one argument\n')
      assert.equal(await said('--overlay a b'), 'bwrap: --overlay takes three arguments\n')
      assert.equal(await said('--args'), 'bwrap: --args takes an argument\n')
      assert.equal(await said('--args x'), 'bwrap: Invalid fd: x\n')
      assert.equal(await said('--args 3 true'), "bwrap: Can't read --args data: Bad file descriptor\n")
      assert.equal(
        await said('--args 7 true', { fds: { 7: { path: '/' } } }),
        "bwrap: Can't read --args data: Is a directory\n",
      )
      assert.equal(await said('--level-prefix --foo'), '<3>bwrap: Unknown option --foo\n')
      assert.equal(await said('--exec-label x true'), 'bwrap: labeling not supported on this system\n')
      assert.match(await said('--ro-bind / /'), /^usage: \S+ \[OPTIONS/)
      assert.match(await said(''), /^usage: \S+ \[OPTIONS/)
      const twice = await bwrap(words('--ro-bind / / --chdir /usr --chdir / pwd'))
      assert.deepEqual([twice.stdout, twice.stderr], ['/\n', 'bwrap: Only the last --chdir option will take effect\n'])
    })

    test('--help and --version', async () => {
      const help = await bwrap(['--help', '--unknown'])
      assert.deepEqual([help.status, help.stderr], [0, ''])
      assert.match(help.stdout, /--ro-bind-data FD DEST/)
      assert.equal((await bwrap(['--version'])).stdout, 'bubblewrap 0.11.1\n')
    })

    test('a cache that cannot be used', async () => {
      const env = { ...environment(), HOME: '/dev/null' }
      const { status, stdout, stderr } = await bwrap(words('--ro-bind / / echo ran'), { env })
      assert.deepEqual([status, stdout, stderr], [0, 'ran\n', ''])
    })

    const require = createRequire(import.meta.url)
    const srt = (() => {
      try {
        return join(dirname(require.resolve('@anthropic-ai/sandbox-runtime')), 'cli.js')
      } catch {
        return resolve('node_modules/@anthropic-ai/sandbox-runtime/dist/cli.js')
      }
    })()
    const missing = [srt, '/usr/bin/socat', '/usr/bin/rg'].filter((path) => !existsSync(path))
    test('@anthropic-ai/sandbox-runtime', {
      skip: missing.length > 0 && `not installed: ${missing.join(', ')}`,
    }, async () => {
      const cwd = join(workDirectory(caller, 'home'), 'srt')
      mkdirSync(cwd, { recursive: true })
      const script =
        'echo inside; id -u; grep Seccomp: /proc/self/status; touch /usr/x; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; exit 3'
      const { status, stdout, stderr } = await runProgram(caller, process.execPath, [srt, '-c', script], {
        cwd,
        env: environment(),
      })
      assert.deepEqual([status, stdout], [3, `inside\n${caller.uid}\nSeccomp:\t2\nlo\n`], stderr)
      assert.match(stderr, /touch: cannot touch '\/usr\/x': Read-only file system/)
    })
  })
