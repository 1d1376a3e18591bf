/** What becomes of a named sandbox when its starter's surroundings end: its terminal is closed, its session and its process group are killed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { quoted } from '../support/jobs.js'
import { as } from '../support/living.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, eventually, processesWith, uniqueSeconds } from '../support/processes.js'
import { Terminal } from '../support/terminal.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** Tells each signal that a terminal or a session could bring, and that it goes on. */
const ticking = `for s in HUP INT QUIT TERM TTIN TTOU CONT; do trap "echo $s" $s; done; while :; do echo tick; sleep 0.05; done`

for (const caller of callers)
  describe(`a sandbox that ${caller.name} started, and left`, { skip: notInstalled('script', 'bash') }, () =>
    left(caller),
  )

function left(caller: Caller): void {
  const runtime = workDirectory(caller, 'left')
  const env = { XDG_RUNTIME_DIR: runtime }
  const call = (...words: readonly string[]) => vial(caller, words, { env })
  const line = (...words: readonly string[]) =>
    `XDG_RUNTIME_DIR=${quoted(runtime)} ${[process.execPath, main, ...words].map(quoted).join(' ')}`
  const started = line('start', '--name', 'left', '--', 'sh', '-c', ticking)

  /** It is there, with all that it had, and heard nothing. */
  async function assertGoesOn(): Promise<void> {
    const ticks = () => call('logs', 'left').stdout
    const before = ticks()
    await eventually(ticks, (now) => now.length > before.length)
    assert.match(ticks(), /^(tick\n)+$/)
    assert.deepEqual(call('exec', 'left', 'echo', 'joined').stdout, 'joined\n')
    assert.match(call('ps').stdout, /^left +running /m)
    assert.equal(call('rm', '-f', 'left').status, 0)
  }

  after(() => Terminal.closeAll())

  const ends: Readonly<
    Record<string, { line: () => string; end: (terminal: Terminal) => unknown; skip?: string | false }>
  > = {
    'when its terminal is closed': { line: () => `${started}; cat`, end: (terminal) => terminal.close() },
    'when its whole process group is killed': {
      line: () => `setsid -w sh -c ${quoted(`${started}; kill -KILL 0`)}; echo ov''er; cat`,
      end: (terminal) => terminal.shows('over'),
    },
    'when the server of its tmux(1) is killed': {
      line: () =>
        `TERM=xterm tmux -f /dev/null -S left.socket new-session ${quoted(`${started}; echo sta''rted; cat`)}`,
      async end(terminal) {
        await terminal.shows('started')
        spawnSync('tmux', ['-S', 'left.socket', 'kill-server'], { cwd: workDirectory(caller, 'home'), ...as(caller) })
        await terminal.ended
      },
      skip: notInstalled('tmux'),
    },
  }
  for (const [what, { line, end, skip = false }] of Object.entries(ends))
    test(`goes on ${what}, its log too, and is entered`, { skip }, async () => {
      const terminal = new Terminal(caller, line())
      try {
        await eventually(
          () => call('logs', 'left').stdout,
          (text) => text.includes('tick'),
        )
        await end(terminal)
        await terminal.close()
        await assertGoesOn()
      } finally {
        call('rm', '-f', 'left')
      }
    })

  test('what was entered from a terminal ends with that, and the sandbox goes on', async () => {
    const word = uniqueSeconds()
    const terminal = new Terminal(caller, `${started}; ${line('exec', 'left', 'sleep', word)}`)
    await eventually(
      () => processesWith(`sleep\0${word}`).length,
      (count) => count > 0,
    )
    await terminal.close()
    await assertGone(word)
    await assertGoesOn()
  })
}
