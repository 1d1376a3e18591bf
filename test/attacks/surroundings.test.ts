/** What a sandbox is given by its surroundings, and what a payload does with what it was given. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { type Policy, profiles } from '../../src/index.js'
import { evaluate } from '../support/evaluate.js'
import { notRoot } from '../support/needs.js'
import { assertGone, childrenOf, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { runAs, vial, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'
import { makeScene, modes } from './scene.js'

for (const mode of modes) {
  const { caller } = mode
  const system: Policy = { preset: 'system', ...mode.policy }
  const owner = process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {}
  const standalone = (policy: Policy) => evaluate(caller, ({ sandbox }, policy) => sandbox(policy).compile(), policy)

  describe(`surroundings, ${mode.name}`, { skip: noAttacks }, () => {
    test('a descriptor of the caller reaches the payload only by the policy of the call', async () => {
      const policy: Policy = { ...system, filesystem: [{ bind: '/attack', from: attackProgram() }] }
      const vial = await standalone(policy)
      const answers = ['inherited'].map((attack) =>
        spawnSync('sh', ['-c', `exec 7</etc/passwd 8</ 9<&1; exec "$0" /attack ${attack}`, vial], {
          ...owner,
          encoding: 'utf8',
        }),
      )
      assert.deepEqual(
        answers.map(({ stdout }) => stdout.trim()),
        ['EBADF'],
      )
      const handed = await evaluate(
        caller,
        async ({ sandbox }, policy) => {
          const { openSync } = await import('node:fs')
          const child = sandbox(policy).spawn('/attack', ['inherited'], {
            stdio: ['ignore', 'pipe', 'inherit', openSync('/etc/passwd', 'r')],
          })
          let said = ''
          child.stdout!.on('data', (chunk) => {
            said += chunk
          })
          await child.result
          return said.trim()
        },
        policy,
      )
      assert.equal(handed, 'succeeded')
    })

    test('what a service hands over by a socket that is shown can be used as it was opened', async () => {
      // Promised is no more than that: what lies beneath a directory, or writing, is refused (network.test.ts).
      const scene = await makeScene(mode, attackProgram())
      const shown = scene.policy([{ bind: '/shown', from: join(scene.directory, 'given') }])
      assert.equal(runAs(caller, shown, '/attack', ['read-given', '/shown/file']).stdout, 'succeeded\n')
      scene.close()
    })

    // A host whose mounts are shared, as systemd makes them: only root can stand in for it.
    test('no mount is one that the host hears of, or that hears of the host', { skip: notRoot }, async () => {
      const vial = await standalone({ ...system, filesystem: [{ bind: '/attack', from: attackProgram() }] })
      const ids = ['--reuid', `${caller.uid}`, '--regid', `${caller.gid}`, '--clear-groups']
      const where = ['-m', '--propagation', 'shared', 'setpriv', ...ids]
      const answers = [[vial, '/attack'], [attackProgram()]].map(
        (words) => spawnSync('unshare', [...where, ...words, 'propagates'], { encoding: 'utf8' }).stdout,
      )
      assert.deepEqual(answers, ['ENOENT\n', 'succeeded\n'])
    })

    test("nothing is typed into the caller's terminal, nor is it taken", async () => {
      // A session of its own on a new terminal, as a shell has it, and the words run there; pty(7).
      const onTerminal = (words: readonly string[]) => {
        const script = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'
        const { stdout } = spawnSync('python3', ['-c', script, ...words], { ...owner, encoding: 'utf8' })
        return stdout.trim()
      }
      const shows: Policy['filesystem'] = [{ bind: '/attack', from: attackProgram() }]
      // The second is the session's wall alone: TIOCSTI is for one's controlling terminal, and that has another session.
      for (const policy of [system, { ...system, seccomp: 'none', landlock: 'off' } as const]) {
        const vial = await standalone({ ...policy, filesystem: shows })
        assert.equal(onTerminal([vial, '/attack', 'tiocsti-stdin']), 'EPERM')
        for (const how of ['0', '1']) assert.equal(onTerminal([vial, '/attack', 'take-terminal', how]), 'EPERM')
      }
      assert.match(onTerminal([attackProgram(), 'tiocsti-stdin']), /succeeded/)
    })

    test('a directory handed on as a descriptor is no way to what lies beside it', async () => {
      const directory = workDirectory(caller, 'by-descriptor')
      writeFileSync(join(workDirectory(caller, 'beside'), 'secret'), 'secret')
      const policy: Policy = { ...system, filesystem: [{ bind: '/attack', from: attackProgram() }] }
      const told = await evaluate(
        caller,
        async ({ sandbox }, { policies, directory }) => {
          const { openSync } = await import('node:fs')
          const answers: string[] = []
          for (const policy of policies) {
            const child = sandbox(policy as never).spawn('/attack', ['fchdir', '3', '../beside/secret'], {
              stdio: ['ignore', 'pipe', 'inherit', openSync(directory, 'r')],
            })
            let said = ''
            child.stdout!.on('data', (chunk) => {
              said += chunk
            })
            await child.result
            answers.push(said.trim())
          }
          return answers
        },
        { policies: [policy, { ...policy, landlock: 'off' }], directory },
      )
      assert.deepEqual(told, ['EACCES', 'succeeded'])
    })

    test("the loader's variables of the caller do not come along", () => {
      const env = { LD_PRELOAD: '/no/such.so', LD_LIBRARY_PATH: '/x', PYTHONPATH: '/x', NODE_OPTIONS: '', IFS: 'x' }
      const names = Object.keys(env)
      const { stdout } = runAs(caller, system, 'env', [], { env })
      assert.deepEqual(
        names.filter((name) => stdout.includes(`${name}=`)),
        [],
      )
      const inherited = runAs(caller, { ...system, env: { inherit: ['PYTHON*'] } }, 'env', [], { env })
      assert.match(inherited.stdout, /^PYTHONPATH=\/x$/m)
    })

    test('a forged record of the end does not change the result', async () => {
      // Every descriptor is written to, and so is what init may have open.
      const forge = `
import os, struct
record = struct.pack('<4Q', 4, 42 << 8, 0, 0) + bytes(144)
for fd in list(range(3, 256)):
    try: os.write(fd, record)
    except OSError: pass
for pid in [1, os.getpid()]:
    for fd in range(64):
        try: os.write(os.open(f'/proc/{pid}/fd/{fd}', os.O_WRONLY), b'' if fd < 3 else record)
        except OSError: pass
os._exit(7)`
      const answer = runAs(caller, system, 'python3', ['-c', forge])
      assert.deepEqual([answer.exitCode, answer.signal, answer.error], [7, null, undefined])
    })

    test("another child of init's that ends first does not change the result", () => {
      // clone(2), CLONE_PARENT: the payload's sibling.
      const sibling = `
import ctypes, os, time
libc = ctypes.CDLL(None)
parent = os.getpid()
libc.syscall(56 if os.uname().machine == 'x86_64' else 220, 0x8000 | 17, 0, 0, 0, 0)
if os.getpid() != parent: os._exit(42)
time.sleep(0.2)
os._exit(7)`
      const answer = runAs(caller, { ...system, session: 'new' }, 'python3', ['-c', sibling])
      assert.deepEqual([answer.exitCode, answer.signal, answer.error], [7, null, undefined])
    })

    test('a payload that closes or fills every descriptor ends as any other', () => {
      const closes = runAs(caller, system, 'python3', ['-c', 'import os; os.closerange(0, 65536); os._exit(5)'])
      assert.equal(closes.exitCode, 5)
      const fills = 'import os\ntry:\n  while True: os.open("/dev/null", 0)\nexcept OSError: os._exit(6)'
      assert.equal(runAs(caller, { ...system, rlimits: { nofile: 1024 } }, 'python3', ['-c', fills]).exitCode, 6)
    })

    test("a signal to one's own process group does not reach the caller's", async () => {
      const hit = async (policy: Policy) => {
        const script = `trap 'echo hit' URG; "$0" python3 -c 'import os, signal; os.kill(0, signal.SIGURG)'; :`
        const words = ['sh', '-c', script, await standalone(policy)]
        return spawnSync('setsid', ['--wait', ...words], { ...owner, encoding: 'utf8' }).stdout
      }
      assert.equal(await hit(system), '')
      assert.equal(await hit({ ...system, landlock: 'off' }), '')
      // In root mode it is another user.
      const weak = await hit({ ...system, landlock: 'off', session: 'host' })
      assert.equal(weak, mode.policy.namespaces?.user === 'host' ? '' : 'hit\n')
    })

    test("the priority of one's own process group does not reach the caller's", async () => {
      const became = async (policy: Policy) => {
        const payload = 'import os; os.setpriority(os.PRIO_PGRP, 0, 13)'
        const words = ['sh', '-c', `"$0" python3 -c '${payload}' 2>&-; nice`, await standalone(policy)]
        return spawnSync('setsid', ['--wait', ...words], { ...owner, encoding: 'utf8' }).stdout.trim()
      }
      const before = spawnSync('nice', { encoding: 'utf8' }).stdout.trim()
      const shared = { ...system, session: 'host' } as const
      for (const policy of [system, { ...system, seccomp: 'none' as const }, shared])
        assert.equal(await became(policy), before)
      const rules = [{ calls: ['setpriority' as const], do: 'allow' as const }, ...profiles.default.rules]
      const weak = await became({ ...shared, seccomp: { ...profiles.default, rules } })
      // Of a caller with more capabilities than the payload, the kernel refuses it: cap_safe_nice() in security/commoncap.c.
      assert.equal(weak, caller.uid === 0 ? before : '13')
    })

    test('where a report is to be written, the payload puts a link or a pipe in its place', () => {
      const directory = workDirectory(caller, `report ${mode.name}`)
      chmodSync(directory, 0o777)
      writeFileSync(join(directory, 'policy.json'), JSON.stringify(system))
      const outside = join(workDirectory(caller, `kept ${mode.name}`), 'file')
      writeFileSync(outside, 'kept')
      if (process.getuid?.() === 0) chownSync(outside, caller.uid, caller.gid)
      const run = (does: string, report = 'report') =>
        vial(
          caller,
          [
            'run',
            '--policy',
            'policy.json',
            '--rw',
            '.',
            '--report',
            report,
            '--',
            'sh',
            '-c',
            `cd "${directory}"; ${does}`,
          ],
          { cwd: directory },
        )
      const instead = [`ln -s "${outside}" report`, 'mkfifo report', 'echo forged > report', ':'].map(
        (one) => `rm report; ${one}`,
      )
      for (const does of instead) {
        assert.match(run(does).stderr, /^vial: --report report: .*\n +a sandbox may have left it/m, does)
        rmSync(join(directory, 'report'), { force: true })
      }
      // What an earlier one left.
      for (const before of [`ln -s "${outside}" report`, 'mkfifo report']) {
        spawnSync('sh', ['-c', before], { ...owner, cwd: directory })
        assert.match(run(':').stderr, /^vial: --report report: .*\n +a sandbox may have left it/m, before)
        rmSync(join(directory, 'report'))
      }
      assert.equal(readFileSync(outside, 'utf8'), 'kept')
      // A link on the way to it.
      mkdirSync(join(directory, 'below'))
      if (process.getuid?.() === 0) chownSync(join(directory, 'below'), caller.uid, caller.gid)
      const way = run(`mv below old; ln -s "${dirname(outside)}" below`, 'below/report')
      assert.match(way.stderr, /^vial: --report below\/report: .*\n +a sandbox may have left it/m)
      assert.deepEqual(readdirSync(dirname(outside)), ['file'])
      assert.equal(run(':').status, 0)
      assert.match(readFileSync(join(directory, 'report'), 'utf8'), /"verdict"/)
    })

    test('kill(-1) reaches no process outside', async () => {
      const word = uniqueSeconds()
      const decoy = spawn('sleep', [word], { ...owner, stdio: 'ignore' })
      await once(decoy, 'spawn')
      runAs(caller, { ...system, identity: { uid: 0, gid: 0 } }, 'sh', ['-c', 'kill -9 -1; :'])
      assert.equal(decoy.exitCode ?? decoy.signalCode, null)
      decoy.kill('SIGKILL')
      await assertGone(word)
    })

    test('a payload that unties itself from its parent does not outlive the sandbox', async () => {
      const word = uniqueSeconds()
      const untie = `
import ctypes, os
libc = ctypes.CDLL(None)
for _ in range(2):
    libc.prctl(1, 0)
    if os.fork(): os._exit(0) if os.getpid() != ${1} and _ else None
    os.setsid()
os.execvp('sleep', ['sleep', '${word}'])`
      const vial = await standalone(system)
      const monitor = spawn(vial, ['sh', '-c', `python3 -c "$1" & sleep ${word}; :`, 'sh', untie], {
        ...owner,
        stdio: 'ignore',
      })
      // The monitor, init, sh, its sleep, and those of the double fork.
      await eventually(
        () => processesWith(word),
        (pids) => pids.length >= 5,
      )
      monitor.kill('SIGKILL')
      await assertGone(word)
    })

    test('names from others are shown without what a terminal would obey', async () => {
      const sequence = '\x1b[2J\x1b]0;owned\x07'
      const vialPath = await standalone({ ...system, filesystem: [{ bind: '/x' }] }).catch(() => '')
      assert.notEqual(vialPath, '')
      const shown = [
        spawnSync(await standalone(system), [`no-such${sequence}`], { ...owner, encoding: 'utf8' }).stderr,
        vial(caller, ['run', '--', `no-such${sequence}`]).stderr,
        vial(caller, ['run', '--ro', `/no-such${sequence}`, '--', 'true']).stderr,
        runAs(caller, system, `no-such${sequence}`).error,
      ]
      for (const text of shown) {
        assert.match(text!, /no-such/)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
        assert.doesNotMatch(text!, /[\x1b\x07]/)
      }
    })

    test('a huge command line, a huge environment and none at all', async () => {
      const path = await standalone(system)
      const many = Array.from({ length: 20_000 }, (_, index) => `argument-${index}`)
      const counted = spawnSync(path, ['sh', '-c', 'echo $#', 'sh', ...many], { ...owner, encoding: 'utf8' })
      assert.equal(counted.stdout, '20000\n', counted.stderr)
      const env = Object.fromEntries(many.map((name) => [name.replace('-', '_'), 'x'.repeat(20)]))
      const wide = await standalone({ ...system, env: { inherit: ['argument_1999*'] } })
      const inherited = spawnSync(wide, ['sh', '-c', 'env | grep -c ^argument_'], { ...owner, encoding: 'utf8', env })
      assert.equal(inherited.stdout, '11\n', inherited.stderr)
      const bare = spawnSync('env', ['-i', path, 'sh', '-c', 'echo up'], { ...owner, encoding: 'utf8' })
      assert.equal(bare.stdout, 'up\n', bare.stderr)
    })

    test("the payload's working directory is inside, wherever the caller stands", async () => {
      const path = await standalone(system)
      const { stdout } = spawnSync(path, ['sh', '-c', 'pwd -P; readlink /proc/self/cwd'], {
        ...owner,
        encoding: 'utf8',
        cwd: workDirectory(caller, 'elsewhere'),
      })
      assert.equal(stdout, '/home/vial\n/home/vial\n')
    })

    test('init and the monitor do not show the caller to the payload', async () => {
      const vialPath = await standalone(system)
      const word = uniqueSeconds()
      const child = spawn(vialPath, ['sleep', word], { ...owner, stdio: 'ignore' })
      const init = await eventually(
        () => (processesWith(word).length >= 3 ? childrenOf(child.pid!)[0] : undefined),
        (pid) => pid !== undefined,
      )
      const status = readFileSync(join('/proc', String(init), 'status'), 'utf8')
      assert.match(status, /^NoNewPrivs:\s+1$/m)
      assert.match(status, /^CapEff:\s+0{16}$/m)
      killAll(word)
      await assertGone(word)
    })
  })
}
