/** Named sandboxes by the command: started, entered, listed, followed, stopped, removed; each command is a process of its own. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { shareOf } from '../support/share.js'
import { commander, listing, monitorOf, saidBy } from './commander.js'

describe('a named sandbox', () => {
  test('is held open, entered by others, and ended', async (t) => {
    const { call, home } = commander(t)
    assert.equal((await call('start', '--name', 'box')).status, 0)
    const monitor = monitorOf(home, 'box')
    assert.deepEqual(await call('exec', 'box', 'sh', '-c', 'echo kept > /tmp/file; exit 7'), {
      status: 7,
      out: '',
      err: '',
    })
    const { out } = await call(
      'exec',
      '--cwd',
      '/tmp',
      '--env',
      'OWN=own',
      'box',
      '--',
      'sh',
      '-c',
      'cat file; echo $OWN',
    )
    assert.equal(out, 'kept\nown\n')
    assert.equal((await call('exec', 'box', 'nowhere')).status, 127)
    assert.equal((await call('exec', 'box', 'sh', '-c', 'kill -TERM $$')).status, 128 + 15)
    const again = await call('start', '--name', 'box')
    assert.deepEqual(
      [again.status, again.err.split('\n')[0]],
      [125, 'vial: the name "box" is in use: a sandbox of that name runs'],
    )
    const [row] = JSON.parse((await call('ps', '--json')).out)
    assert.deepEqual([row.name, row.state, row.pids], ['box', 'running', []])
    assert.equal((await call('rm', 'box')).status, 125)
    assert.equal((await call('stop', 'box')).status, 0)
    // It takes its time to exit.
    while (existsSync(`/proc/${monitor}`)) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual((await call('wait', 'box')).out, '0\n')
    assert.equal((await call('exec', 'box', 'true')).status, 125)
    assert.equal((await call('rm', 'box')).status, 0)
    assert.deepEqual(readdirSync(home), [])
  })

  test('has a command, whose output is kept and whose end is told', async (t) => {
    const { call } = commander(t)
    const script = 'trap "echo asked; exit 4" TERM; echo ready; while :; do sleep 0.02; done'
    await call('start', '--name', 'web', '--', 'sh', '-c', script)
    while ((await call('logs', 'web')).out === '');
    assert.equal((await call('stop', 'web')).status, 0)
    assert.deepEqual(await call('logs', '-f', 'web'), { status: 0, out: 'ready\nasked\n', err: '' })
    assert.deepEqual(await call('wait', 'web'), { status: 4, out: '4\n', err: '' })
    // The name of one that has ended can be taken again.
    assert.equal((await call('start', '--name', 'web')).status, 0)
  })

  test('whose command ends at once is there all the same, with its words and its status', async (t) => {
    const { call } = commander(t)
    for (let round = 0; round < shareOf(12); round++) {
      const started = await call('start', '--name', 'short', '--', 'sh', '-c', 'echo "no configuration"; exit 3')
      assert.equal(started.status, 0, started.err)
      assert.deepEqual(await call('wait', 'short'), { status: 3, out: '3\n', err: '' })
      assert.equal((await call('logs', 'short')).out, 'no configuration\n')
    }
    const attended = await call('start', '--foreground', '--name', 'short', '--', 'sh', '-c', 'exit 3')
    assert.equal(attended.status, 3, attended.err)
    assert.match(
      (await call('start', '--name', 'short', '--', 'true')).err,
      /^short (?:has ended already, with status 0|runs):/,
    )
  })

  test('keeps no more of its log than it may', async (t) => {
    const { call, home } = commander(t)
    const script = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done'
    await call('start', '--name', 'loud', '--log-size', '8K', '--', 'sh', '-c', script)
    assert.equal((await call('wait', 'loud')).status, 0)
    const { out } = await call('logs', 'loud')
    assert.ok(out.endsWith('line 2998\nline 2999\n'), out.slice(-100))
    assert.ok(out.length <= 8192 && out.length > 2000, String(out.length))
    assert.equal((await call('logs', '-n', '1', 'loud')).out, 'line 2999\n')
    assert.deepEqual(
      readdirSync(join(home, 'loud'))
        .filter((name) => name.startsWith('log'))
        .sort(),
      ['log', 'log.1'],
    )
  })

  test('gives what enters it the variables of its policy, and what is said besides, as of a run', async (t) => {
    const { call } = commander(t)
    for (const [name, value] of Object.entries({ SEEN_A: 'a', SEEN_B: 'b', KNOWN: 'theirs', TERM: 'own' })) {
      const before = process.env[name]
      process.env[name] = value
      t.after(() => {
        if (before === undefined) delete process.env[name]
        else process.env[name] = before
      })
    }
    const flags = ['--env', 'SET=policy', '--env', 'KNOWN=policy', '--env', 'KEPT=policy']
    await call('start', '--name', 'box', ...flags)
    const more = ['--env', 'SEEN_*', '--env', 'SEEN_B=flag', '--env', 'KNOWN', '--env', 'SET=a=b', '--env', 'ABSENT']
    const entered = await call('exec', ...more, 'box', 'env')
    assert.equal(entered.err, '')
    const lines = entered.out.split('\n').sort()
    const asked = ['KEPT=policy', 'KNOWN=theirs', 'SEEN_A=a', 'SEEN_B=flag', 'SET=a=b', 'TERM=own']
    assert.deepEqual(
      lines.filter((line) => !/^(|(PATH|HOME|USER|LOGNAME|LANG)=.*)$/.test(line)),
      asked,
    )
    assert.equal((await call('exec', 'box', 'sh', '-c', 'echo $PWD $HOME')).out, '/home/vial /home/vial\n')
    const run = await call('run', ...flags, ...more, '--', 'env')
    assert.deepEqual(run.out.split('\n').sort(), lines)
    assert.deepEqual(await call('exec', '--env', '=x', 'box', 'env'), {
      status: 125,
      out: '',
      err: 'vial: --env =x: must be a variable name\n',
    })
  })

  test('advises what it was started without, of what it does not see', async (t) => {
    const { call } = commander(t)
    await call('start', '--name', 'box')
    assert.equal(
      (await call('exec', 'box', 'ls', '/usr', '/boot')).err,
      "ls: cannot access '/boot': No such file or directory\n" +
        'vial: /boot exists, but the sandbox does not see it: it was started without --ro /boot (or --rw /boot)\n',
    )
  })

  test('gives a command that enters it ids and limits of its own, none of them more than its own', async (t) => {
    const { call } = commander(t)
    await call('start', '--name', 'box', '--file-size', '1M', '--open-files', '50')
    const told = async (...flags: readonly string[]) => {
      const { status, out, err } = await call('exec', ...flags, 'box', 'sh', '-c', 'id -u; ulimit -n; ulimit -f')
      return [status, out.trim().replaceAll('\n', ' '), err.split('\n')[0]]
    }
    assert.deepEqual(await told(), [0, '1000 50 2048', ''])
    // The second finds what the first has compiled.
    for (let round = 0; round < 2; round++)
      assert.deepEqual(await told('--uid', '1000', '--open-files', '20', '--file-size', '4K'), [0, '1000 20 8', ''])
    assert.deepEqual(await told('--output', '6', '--verdict'), [137, '1000 5', 'vial: output-limit: both, 6 bytes'])
    const refused = {
      '--uid 0': 'must be an id that the sandbox has: 1000',
      '--gid 5': 'must be an id that the sandbox has: 1000',
      '--file-size 2M': 'must be at most 1048576, as the sandbox has it',
      '--open-files 51': 'must be at most 50, as the sandbox has it',
      '--core 0': 'must be at least 1: with 0 the kernel would call a handler of the host, core(5)',
      '--cwd tmp': 'must be an absolute path inside the sandbox, without ".."',
    }
    for (const [flag, words] of Object.entries(refused))
      assert.deepEqual(await told(...flag.split(' ')), [125, '', `vial: ${flag}: ${words}`])
    for (const flag of ['--memory', '--pids', '--disk', '--rw'])
      assert.deepEqual(await told(flag, '5'), [
        125,
        '',
        `vial: there is no flag ${flag}: it is of the sandbox, for all in it together: give it to "vial start"`,
      ])
    assert.equal(
      (await call('exec', '-it', 'box', 'sh')).err,
      'vial: -t: standard input is not a terminal: leave it out\n',
    )
    assert.match(
      (await call('exec', '--file-size', '512', 'box', 'sh', '-c', 'exec head -c 1K /dev/zero > /tmp/x')).err,
      /ended by the limit: size of a file, --file-size/,
    )
  })

  test('that cannot be made leaves nothing', async (t) => {
    const { call, home } = commander(t)
    assert.deepEqual(
      [
        (await call('start', '--name', 'a', '--', 'nowhere')).status,
        (await call('start', '--name', 'b', '--pid-file', '/nowhere/pid')).status,
        (await call('start', '--name', '../c')).status,
        (await call('start', '--name', 'd\n')).status,
      ],
      [127, 125, 125, 125],
    )
    assert.deepEqual(readdirSync(home), [])
  })

  test('that is killed from outside is noticed, told once, and removed', async (t) => {
    const { call, home } = commander(t)
    await call('start', '--name', 'lost', '--', 'sleep', '600')
    process.kill(monitorOf(home, 'lost'), 'SIGKILL')
    const first = await call('ps')
    assert.match(first.err, /the sandbox "lost" is lost/)
    assert.deepEqual(readdirSync(home), [])
    assert.equal((await call('ps')).err, '')
  })

  /** Says which signals it gets; INT ends it. */
  test('is asked to end by the signal that its start was told, or that the stop is told', async (t) => {
    const { call } = commander(t)
    for (const [start, stop] of [
      [['--stop-signal', 'INT'], []],
      [[], ['--signal', 'sigint']],
      [
        ['--stop-signal', 'TERM'],
        ['-s', '2'],
      ],
    ] as const) {
      await call('start', '--name', 'asked', ...start, '--', 'sh', '-c', listing)
      await saidBy(call, 'asked', 'ready\n')
      assert.equal((await call('stop', '--grace', '60s', ...stop, 'asked')).status, 0)
      assert.deepEqual(await call('wait', 'asked'), { status: 6, out: '6\n', err: '' })
      assert.equal((await call('logs', 'asked')).out, 'ready\nINT\n')
    }
    for (const args of [
      ['start', '--name', 'a', '--stop-signal', 'ITN'],
      ['stop', '--signal', 'ITN', 'asked'],
    ])
      assert.match(
        (await call(...args)).err,
        /^vial: "ITN" is no signal that a sandbox can be sent \(did you mean INT\?\)\n/,
      )
  })
})
