/** Commands at a terminal as jobs of a shell. */
import assert from 'node:assert/strict'
import { childrenOf, eventually, processesWith } from './processes.js'
import { keys, Terminal } from './terminal.js'
import type { Caller } from './user.js'

/** As one word of a shell. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** Everything below this process. */
export const below = (pid: number): number[] => childrenOf(pid).flatMap((child) => [child, ...below(child)])

/** What a loop of bash(1) does when ^C ends the sandbox that it waits for: bash ends only when that died of SIGINT, too. */
export async function assertInterruptEndsLoop(caller: Caller, start: string, word: string): Promise<void> {
  const loop = `for n in 1 2 3; do ${start} sh -c 'echo up $0; exec sleep ${word}' $n; done`
  const terminal = new Terminal(caller, `bash -c ${quoted(loop)}; echo over`)
  await terminal.shows('up 1')
  await eventually(
    () => processesWith(`sleep\0${word}`),
    (pids) => pids.length === 1,
  )
  terminal.type(keys.interrupt)
  let isOver = false
  void terminal.ended.then(() => {
    isOver = true
  })
  await eventually(
    () => isOver || terminal.screen.includes('up 2'),
    (is) => is,
  )
  assert.doesNotMatch(terminal.screen, /up 2/)
}
