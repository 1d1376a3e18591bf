/**
 * A thread beside each test file (hostGuard.js): ends the file that takes too long, with all that it started, and says what was running.
 * A test that waits for ever would otherwise hold up all that come after it. It is a thread since a test may wait in spawnSync.
 */
import { readdirSync, readFileSync, writeSync } from 'node:fs'
import { basename } from 'node:path'
import { workerData } from 'node:worker_threads'

const { file, seconds } = workerData

setTimeout(() => {
  const left = descendants(process.pid)
  const lines = left.map(({ pid, depth, words }) => `${'  '.repeat(depth)}${pid} ${words.slice(0, 2000)}`)
  writeSync(2, `${basename(file)} is not over after ${seconds} s, and is ended. It had started:\n${lines.join('\n')}\n`)
  for (const { pid } of left) attempt(() => process.kill(pid, 'SIGKILL'))
  process.kill(process.pid, 'SIGKILL')
}, seconds * 1000)

/** What a process has started, each behind its parent. */
function descendants(ancestor) {
  const children = new Map()
  for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const stat = attempt(() => readFileSync(`/proc/${name}/stat`, 'latin1'))
    if (stat === undefined) continue
    // The name of a program may hold anything, brackets and blanks too: proc_pid_stat(5).
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const command = attempt(() => readFileSync(`/proc/${name}/cmdline`, 'utf8')) ?? ''
    const words = `${state} ${command.replaceAll('\0', ' ')}`
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), { pid: Number(name), words }])
  }
  const below = (pid, depth) =>
    (children.get(pid) ?? []).flatMap((child) => [{ ...child, depth }, ...below(child.pid, depth + 1)])
  return below(ancestor, 1)
}

function attempt(action) {
  try {
    return action()
  } catch {
    return undefined
  }
}
