/** A shared session at a terminal: the payload has the foreground like any job of a shell, and gives it back however it ends. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { assertInterruptEndsLoop, below, quoted } from '../support/jobs.js'
import { notInstalled } from '../support/needs.js'
import { eventually, killAll, processesWith, uniqueSeconds } from '../support/processes.js'
import { keys, Terminal } from '../support/terminal.js'
import { callers, vial as runVial, workDirectory } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname

for (const caller of callers) {
  const words: string[] = []
  const newWord = () => words[words.push(uniqueSeconds()) - 1]!
  const compiled = () => {
    const path = `${workDirectory(caller, 'home')}/session.vial`
    const { status, stderr } = runVial(caller, ['compile', '--share-session', '-o', path])
    assert.equal(status, 0, stderr)
    return quoted(path)
  }
  const doors = [
    { name: 'the command', start: () => `'${process.execPath}' '${main}' run --share-session --`, receiver: main },
    { name: 'a compiled vial', start: compiled, receiver: 'session.vial' },
  ] as const

  describe(`a shared session, by ${caller.name}`, { skip: notInstalled('script', 'bash') }, () => {
    after(async () => {
      words.forEach(killAll)
      await Terminal.closeAll()
    })

    for (const { name, start, receiver } of doors) {
      // dash(1) ends with 2 when it cannot give the foreground back to the group that had it. The reader has no job control.
      for (const [how, inside, status] of [
        ['sh -i that exits', "sh -ic 'sleep 0; exit 3'", 3],
        ['bash -i that exits', "bash --norc -ic 'sleep 0; exit 3'", 3],
        ['bash -i that is killed', "bash --norc -ic 'sleep 0; kill -9 $$'", 137],
        ['a command that is killed by ^C, of which the reader hears as well', "sh -c 'kill -INT $$'", 130],
        ['a command that is not found', 'no-such-command', 127],
      ] as const)
        test(`of ${name} gives the terminal back after ${how}`, async () => {
          const script = `trap : INT; ${start()} ${inside}; echo "over $?"; read line && echo "read $line"`
          const terminal = new Terminal(caller, `bash -c ${quoted(script)}`)
          await terminal.shows(`over ${status}\r\n`)
          terminal.type('something\n')
          await terminal.shows('read something')
          await terminal.ended
        })

      test(`of ${name} gives the terminal back when its receiver is killed`, async () => {
        const word = newWord()
        const run = `${start()} bash --norc -ic ${quoted(`sleep ${word}; :`)}`
        // The shell may be faster than the monitor, which then hears of the end at the same time.
        const terminal = new Terminal(
          caller,
          `${name === 'the command' ? run : `sh -c ${quoted(`${run}; :`)}`}; until read line; do sleep 0.05; done; echo "read $line"`,
        )
        await eventually(
          () => processesWith(`sleep\0${word}`),
          (pids) => pids.length === 1,
        )
        const isReceiver = (pid: number) =>
          new RegExp(name === 'the command' ? `^[^\0]*node\0.*${receiver}` : '^sh\0').test(
            readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
          )
        process.kill(below(terminal.pid).find(isReceiver)!, 'SIGKILL')
        await eventually(
          () => processesWith(`sleep\0${word}`),
          (pids) => pids.length === 0,
        )
        terminal.type('something\n')
        await terminal.shows('read something')
        await terminal.ended
      })

      for (const [how, inside, stop] of [
        // dash waits for what it starts by vfork(2), and ^Z just then would stop the child alone.
        ['^Z', 'sh -c \'echo u""p; exec cat\'', keys.suspend],
        ['suspend(1) of a shell inside', 'bash --norc -i', 'suspend -f\n'],
      ] as const)
        test(`of ${name} is stopped by ${how}, and continued by fg`, async () => {
          const terminal = new Terminal(caller, 'bash --norc -i')
          terminal.type(`${start()} ${inside}\n`)
          if (how !== '^Z') terminal.type('echo u""p\n')
          await terminal.shows('up\r\n')
          for (const turn of [1, 2]) {
            terminal.type(stop)
            // What is typed before the shell's prompt may be lost to the change of the terminal's settings.
            await eventually(
              () => terminal.screen.split('Stopped'),
              (parts) => parts.length - 1 === turn && /[$#] /.test(parts.at(-1)!),
            )
            terminal.type(`echo be""tween ${turn}; fg\n`)
            await terminal.shows(`between ${turn}`)
            // A shell echoes the line, and cat(1) writes it.
            terminal.type(how === '^Z' ? `on ${turn}\n` : `echo o""n ${turn}\n`)
            await terminal.shows(how === '^Z' ? `on ${turn}\r\non ${turn}` : `\non ${turn}`)
          }
          // Of root it ends with "#".
          const prompts = () => terminal.screen.split(/[$#] /).length
          const before = prompts()
          terminal.type(how === '^Z' ? keys.interrupt : 'exit 7\n')
          // ^C throws away what was typed behind it.
          await eventually(prompts, (count) => count > before)
          terminal.type('echo "status $?"; exit\n')
          await terminal.shows(`status ${how === '^Z' ? 130 : 7}\r\n`)
          await terminal.ended
        })

      test(`of ${name}: ^C ends the loop of a script`, () => assertInterruptEndsLoop(caller, start(), newWord()))

      test(`of ${name} leaves the terminal to what reads it at the end of the pipeline`, async () => {
        const terminal = new Terminal(caller, `${start()} echo up | { cat; read line </dev/tty; echo "read $line"; }`)
        await terminal.shows('up')
        terminal.type('something\n')
        await terminal.shows('read something')
        await terminal.ended
      })
    }
  })
}
