/** Signals, and the keys of a terminal: who gets what, and once, as the table in docs/how-it-works.md has it. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { after, describe, test } from 'node:test'
import { assertInterruptEndsLoop, below, quoted } from '../support/jobs.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, childrenOf, eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { keys, Terminal } from '../support/terminal.js'
import { type Caller, callers, runAs, vial as runVial, workDirectory } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const bwrap = new URL('../../bin/vial-bwrap', import.meta.url).pathname
const vial = `'${process.execPath}' '${main}'`
const unusable = notInstalled('script', 'bash')

/**
 * Counts what it gets; ^\ ends it with the sum. In the background of sh(1), sleep(1) ignores ^C. Nothing is started once it is up:
 * dash waits for what it starts by vfork(2), and a signal that comes just then is lost, or stops the child alone.
 */
const counter = (word: string) =>
  `n=0; trap 'n=$((n+1)); echo int $n' INT; trap 'echo term' TERM; trap 'echo sum $n; exit' QUIT; sleep ${word} & echo up; while :; do wait; done`

const stateOf = (pid: number) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!
/** Bit N - 1 is signal N. */
const ignored = (pid: number) =>
  BigInt(`0x${/^SigIgn:\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]}`)
const states = (pids: readonly number[]) => pids.map(stateOf).join('')

const identity = (caller: Caller) => (process.getuid?.() === 0 ? { uid: caller.uid, gid: caller.gid } : {})

for (const caller of callers) {
  const words: string[] = []
  const newWord = () => words[words.push(uniqueSeconds()) - 1]!
  const compiled = (...words: string[]) => {
    const path = `${workDirectory(caller, 'home')}/terminal.vial`
    const { status, stderr } = runVial(caller, ['compile', ...words, '-o', path])
    assert.equal(status, 0, stderr)
    return path
  }
  // The monitor of a vial by itself is what a shell starts; the command has it as its child.
  const doors = [
    { name: 'the command', start: (...flags: string[]) => `${vial} run ${flags.join(' ')} --` },
    { name: 'a compiled vial', start: (...flags: string[]) => quoted(compiled(...flags)) },
  ] as const

  describe(`the keys of a terminal, by ${caller.name}`, { skip: unusable }, () => {
    after(async () => {
      words.forEach(killAll)
      await Terminal.closeAll()
    })

    for (const { name, start } of doors) {
      for (const [place, line] of [
        ['alone', (command: string) => command],
        ['in a pipe', (command: string) => `trap : INT QUIT; ${command} | { trap '' INT QUIT; cat; }`],
        [
          'under nohup(1)',
          (command: string) => `trap : INT QUIT; nohup ${command} </dev/null 2>&1 | { trap '' INT QUIT; cat; }`,
        ],
        ['under script(1)', (command: string) => `script -qec ${quoted(command)} /dev/null`],
        [
          'under tmux(1)',
          (command: string) => `TERM=xterm tmux -f /dev/null -S tmux.socket new-session ${quoted(command)}`,
        ],
      ] as const)
        test(`^C reaches the payload of ${name} once, ${place}`, {
          skip: place === 'under tmux(1)' && notInstalled('tmux'),
        }, async () => {
          const terminal = new Terminal(caller, line(`${start()} sh -c ${quoted(counter(newWord()))}`))
          await terminal.shows('up')
          for (let n = 1; n <= 30; n++) {
            terminal.type(keys.interrupt)
            await terminal.shows(`int ${n}`)
          }
          terminal.type(keys.quit)
          await terminal.shows('sum 30')
          await terminal.ended
        })

      test(`^C reaches what a shell inside waits for, of ${name}`, async () => {
        const word = newWord()
        const terminal = new Terminal(
          caller,
          `${start()} sh -c ${quoted(`trap 'echo trapped' INT; echo up; sleep ${word}; echo after`)}`,
        )
        await terminal.shows('up')
        await eventually(
          () => processesWith(`sleep\0${word}`),
          (pids) => pids.length > 0,
        )
        terminal.type(keys.interrupt)
        await terminal.shows('after')
        assert.match(terminal.screen, /trapped/)
        await terminal.ended
      })

      test(`^C gives a new prompt in a shell inside, of ${name}`, async () => {
        const word = newWord()
        const terminal = new Terminal(caller, `${start()} bash --norc -i`)
        terminal.type('echo u""p\n')
        await terminal.shows('up')
        terminal.type(`sleep ${word}\n`)
        await eventually(
          () => processesWith(`sleep\0${word}`),
          (pids) => pids.length > 0,
        )
        terminal.type(keys.interrupt)
        terminal.type('echo al""ive; exit\n')
        await terminal.shows('alive')
        await terminal.ended
      })

      test(`^Z stops all of ${name}, and fg continues it`, async () => {
        const word = newWord()
        const terminal = new Terminal(caller, 'bash --norc -i')
        terminal.type(`${start()} sh -c ${quoted(counter(word))}\n`)
        await terminal.shows('up\r\n')
        const sleeper = () => processesWith(`sleep\0${word}`)
        const [asleep] = await eventually(sleeper, (pids) => pids.length === 1)
        for (const turn of [1, 2]) {
          terminal.type(keys.suspend)
          await eventually(
            () => terminal.screen.split('Stopped').length - 1,
            (count) => count === turn,
          )
          assert.equal(
            await eventually(
              () => stateOf(asleep!),
              (state) => state === 'T',
            ),
            'T',
          )
          terminal.type('echo in""between; fg\n')
          await terminal.shows('inbetween')
          assert.equal(
            await eventually(
              () => stateOf(asleep!),
              (state) => state === 'S',
            ),
            'S',
          )
          await eventually(
            () => terminal.screen.lastIndexOf('sh -c') > terminal.screen.lastIndexOf('inbetween'),
            (continued) => continued,
          )
        }
        terminal.type(keys.interrupt)
        await terminal.shows('int 1')
        terminal.type(keys.quit)
        await terminal.shows('sum 1')
        terminal.type('exit\n')
        await terminal.ended
      })

      test(`a terminal that is closed ends ${name}`, async () => {
        // Such as make(1): it waits for what it started, which got the signal as well.
        const word = newWord()
        const trapped = name === 'the command' ? "trap 'exit 3' HUP; " : ''
        const terminal = new Terminal(caller, `${start()} sh -c ${quoted(`${trapped}echo up; sleep ${word}; :`)}`)
        // What is not there yet cannot get it.
        await eventually(
          () => processesWith(`sleep\0${word}`),
          (pids) => pids.length > 0,
        )
        await terminal.close()
        await assertGone(word)
      })

      test(`a terminal that is closed ends ${name} that has stopped itself`, async () => {
        const word = newWord()
        const terminal = new Terminal(caller, `${start()} sh -c 'kill -STOP $$; :' ${word}`)
        const stopped = () => below(terminal.pid).filter((pid) => stateOf(pid) === 'T')
        assert.equal((await eventually(stopped, (pids) => pids.length > 0)).length, 1)
        await terminal.close()
        await assertGone(word)
      })
    }

    const outlives = () => {
      const policy = `${workDirectory(caller, 'home')}/outlives.json`
      writeFileSync(policy, JSON.stringify({ preset: 'system', dieWithParent: false }), { mode: 0o644 })
      return quoted(compiled(policy))
    }
    // As the file that is installed: what its first lines do is lost where Node.js is started by hand.
    const installed = `PATH="${dirname(process.execPath)}:$PATH"; exec nohup sh '${main}' run --`
    for (const [name, start] of [
      ['a vial', () => `exec nohup ${outlives()}`],
      ['vial run', () => installed],
      ['vial run with a limit', () => installed.replace('--', '--wall-time 1h --')],
      ['vial-bwrap', () => `exec nohup '${bwrap}' --ro-bind / / --dev /dev --proc /proc`],
    ] as const)
      test(`a terminal that is closed leaves ${name} under nohup(1) running`, async () => {
        const word = newWord()
        const terminal = new Terminal(caller, `${start()} sh -c 'sleep ${word}; :' </dev/null >nohup.log 2>&1`)
        const asleep = () => processesWith(`sleep\0${word}`)
        const [one] = await eventually(asleep, (pids) => pids.length === 1)
        assert.ok(one !== undefined, terminal.screen)
        const [outer] = childrenOf(terminal.pid)
        await terminal.close()
        const seen = await eventually(
          () => states([outer!, one]),
          (seen) => seen === 'SS',
        )
        assert.deepEqual([seen, ignored(one)], ['SS', 1n])
        // bwrap(1) leaves its sandbox behind.
        if (name === 'vial-bwrap') killAll(word)
        // It comes behind the SIGHUP that waits, and ends the command as itself.
        else process.kill(outer!, 'SIGTERM')
        await assertGone(word)
      })

    test('^C ends a loop of a shell', () => assertInterruptEndsLoop(caller, `${vial} run --`, newWord()))
  })

  describe(`signals without a terminal, by ${caller.name}`, () => {
    after(() => words.forEach(killAll))

    for (const { name, start } of doors)
      test(`that a whole group gets, as from timeout(1), reach the payload of ${name} once`, async () => {
        const word = newWord()
        const child = spawn('setsid', ['-w', 'sh', '-c', `exec ${start()} "$@"`, 'sh', 'sh', '-c', counter(word)], {
          cwd: workDirectory(caller, 'home'),
          env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') },
          ...identity(caller),
        })
        const ended = once(child, 'exit')
        let said = ''
        child.stdout.on('data', (chunk) => {
          said += chunk
        })
        const says = (text: string) =>
          eventually(
            () => said,
            (all) => all.includes(text),
          )
        await says('up')
        // setsid(1) forks only where it leads a group, as it does not here.
        const { pid } = child
        const receiver = pid!
        // What waits is merged: so what comes twice comes by another way.
        process.kill(receiver, 'SIGSTOP')
        await eventually(
          () => states([receiver]),
          (state) => state === 'T',
        )
        process.kill(receiver, 'SIGINT')
        process.kill(-receiver, 'SIGINT')
        process.kill(receiver, 'SIGCONT')
        await says('int 1')
        process.kill(receiver, 'SIGTERM')
        await says('term')
        process.kill(receiver, 'SIGQUIT')
        assert.match(await says('sum'), /sum 1/)
        await ended
      })

    test('that a caller ignores stay ignored in the payload of the command', () => {
      const home = workDirectory(caller, 'home')
      const env = { PATH: `${dirname(process.execPath)}:${process.env.PATH}`, HOME: home }
      const run = `sh '${main}' run -- sh -c 'grep SigIgn /proc/self/status; kill -INT $$; kill -HUP $$; echo alive; env'`
      for (const [ignoring, mask, said] of [
        ['', 0n, ''],
        // SIGCHLD would have the sandbox's own children reaped unseen.
        ["trap '' HUP INT CHLD TSTP", 0x80003n, 'alive'],
      ] as const) {
        const { stdout } = spawnSync('sh', ['-c', `${ignoring}\n${run}`], {
          encoding: 'utf8',
          env,
          cwd: home,
          ...identity(caller),
        })
        const [status = '', word = '', ...variables] = stdout.split('\n')
        assert.deepEqual([BigInt(`0x${status.split('\t')[1]}`), word], [mask, said])
        assert.doesNotMatch(variables.join('\n'), /VIAL_/)
      }
    })

    test('that have no name are told by number', () => {
      const { status, stderr } = runVial(caller, ['run', '--verdict', '--', 'sh', '-c', 'kill -34 $$'])
      assert.deepEqual([status, stderr], [128 + 34, 'vial: signal: SIGRTMIN\n'])
      assert.equal(runAs(caller, { preset: 'system' }, 'sh', ['-c', 'kill -50 $$']).signal, 'SIGRTMIN+16')
    })

    test('a vial outlives the thread that started it, and ends with the process', {
      skip: notInstalled('python3'),
    }, async () => {
      const word = newWord()
      const script = `import subprocess, sys, threading
def start():
    global child
    child = subprocess.Popen([sys.argv[1], 'sh', '-c', 'echo up; read line; echo "read $line"; sleep ${word}; :'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
thread = threading.Thread(target=start)
thread.start()
thread.join()
for n in range(3):
    other = threading.Thread(target=lambda: None)
    other.start()
    other.join()
child.stdin.write(b'on\\n')
child.stdin.flush()
print(child.stdout.readline().decode().strip(), flush=True)
child.wait()
`
      const parent = spawn('python3', ['-c', script, compiled()], {
        cwd: workDirectory(caller, 'home'),
        ...identity(caller),
      })
      let said = ''
      parent.stdout.on('data', (chunk) => {
        said += chunk
      })
      await eventually(
        () => said,
        (all) => all.endsWith('\n'),
      )
      assert.equal(said, 'read on\n')
      parent.kill('SIGKILL')
      await assertGone(word)
    })

    test('a sandbox outlives the worker thread that started it', async () => {
      const word = newWord()
      const library = new URL('../../src/index.js', import.meta.url).href
      const script = `import { Worker } from 'node:worker_threads'
const code = "import(" + JSON.stringify(${JSON.stringify(library)}) + ").then(({ sandbox }) => { sandbox({ preset: 'system' }).spawn('sh', ['-c', 'echo up; exec sleep ${word}'], { stdio: ['ignore', 'pipe', 'ignore'] }).stdout.once('data', () => process.exit()) })"
const worker = new Worker(code, { eval: true })
worker.on('exit', () => { console.log('ended'); setInterval(() => {}, 1000) })`
      const node = spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: workDirectory(caller, 'home'),
        env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home') },
        ...identity(caller),
      })
      await once(node.stdout, 'data')
      const left = below(node.pid!)
      assert.ok(left.length >= 3, `${left}`)
      node.kill('SIGKILL')
      await assertGone(word)
    })
  })
}
