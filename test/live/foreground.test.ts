/** `vial start --foreground`, as a supervisor has it: what its command writes, the signals that it hands on, how it ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { commander, listing, monitorOf, saidBy } from './commander.js'

describe('a start in the foreground', () => {
  test('is asked to end by a SIGTERM to its start, and hands on all others that are told', async (t) => {
    const { call, start } = commander(t)
    const child = start('start', '--name', 'front', '--foreground', '--stop-signal', 'INT', '--', 'sh', '-c', listing)
    let said = 'ready\n'
    await saidBy(call, 'front', said)
    for (const signal of ['HUP', 'HUP', 'USR1', 'HUP'] as const) {
      child.kill(`SIG${signal}`)
      said += `${signal}\n`
      await saidBy(call, 'front', said)
    }
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'close'), [6, null])
    assert.equal((await call('logs', 'front')).out, `${said}INT\n`)
  })

  test('hands signals on, and ends as its command', async (t) => {
    const { call, home } = commander(t)
    const script = 'trap "exit 5" TERM; while :; do sleep 0.02; done'
    const pid = join(home, '..', 'pid')
    const ended = call('start', '--name', 'front', '--foreground', '--pid-file', pid, '--', 'sh', '-c', script)
    while (!existsSync(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal((await call('kill', '-s', 'TERM', 'front')).status, 0)
    assert.equal((await ended).status, 5)
    rmSync(pid)
  })

  test('prints what its command writes as it is written, and so does the log', async (t) => {
    const { call, start } = commander(t)
    const script =
      'echo out; echo error >&2; read word < /proc/sys/kernel/ostype; trap "echo asked >&2; exit 7" TERM; echo $word; while :; do sleep 0.02; done'
    const child = start('start', '--name', 'front', '--foreground', '--', 'sh', '-c', script)
    const errors = text(child.stderr!)
    let said = ''
    child.stdout!.setEncoding('utf8').on('data', (part) => {
      said += part
      if (said.endsWith('Linux\n')) child.kill('SIGTERM')
    })
    assert.deepEqual(await once(child, 'close'), [7, null])
    assert.deepEqual([said, await errors], ['out\nerror\nLinux\nasked\n', ''])
    assert.equal((await call('logs', 'front')).out, said)
  })

  test('says which limit ended it', async (t) => {
    const { call } = commander(t)
    assert.deepEqual(
      await call(
        'start',
        '--name',
        'front',
        '--foreground',
        '--wall-time',
        '100ms',
        '--',
        'sh',
        '-c',
        'echo begun; sleep 600',
      ),
      { status: 137, out: 'begun\n', err: 'vial: ended by the limit: wall time, 100 ms\n' },
    )
  })

  test('says that the sandbox was killed from outside', async (t) => {
    const { call, start, home } = commander(t)
    const child = start('start', '--name', 'front', '--foreground', '--', 'sh', '-c', 'echo begun; sleep 600')
    const errors = text(child.stderr!)
    await once(child.stdout!, 'data')
    process.kill(monitorOf(home, 'front'), 'SIGKILL')
    assert.deepEqual(await once(child, 'close'), [125, null])
    assert.match(await errors, /^vial: the sandbox "front" is lost: it was killed from outside/)
    assert.equal((await call('start', '--name', 'front', '--', 'true')).status, 0)
  })

  const loud = 'echo ready; i=0; while [ $i -lt 40000 ]; do echo "line $i"; i=$((i+1)); done; echo last; exec sleep 600'

  test('goes on when its reader has gone', async (t) => {
    const { call, start } = commander(t)
    const child = start('start', '--name', 'front', '--foreground', '--', 'sh', '-c', loud)
    await once(child.stdout!, 'data')
    child.stdout!.destroy()
    while ((await call('logs', '-n', '1', 'front')).out !== 'last\n');
    assert.equal(child.exitCode, null)
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [143, null])
  })

  test('hears signals while its reader takes nothing, and prints all that is kept in the end', async (t) => {
    const { call, start } = commander(t)
    const child = start('start', '--name', 'front', '--foreground', '--', 'sh', '-c', loud)
    while ((await call('logs', '-n', '1', 'front')).out !== 'last\n');
    child.kill('SIGTERM')
    assert.equal((await call('wait', 'front')).status, 143)
    assert.equal(child.exitCode, null)
    const said = await text(child.stdout!)
    assert.equal(said, (await call('logs', 'front')).out)
    assert.deepEqual([child.exitCode ?? (await once(child, 'exit'))[0]], [143])
  })
})
