/** Payloads that do attacks when they are told to, and what they see of the process that is held still for them. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/** Lines of a process, one by one. */
export function linesOf(child: ChildProcess): () => Promise<string> {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return async () => {
    const { value, done } = await lines.next()
    return done ? `it has ended: ${child.exitCode ?? child.signalCode}` : value
  }
}

/** A payload that does attacks: the answer to each. */
export interface Attacker {
  (words: readonly string[]): Promise<string>
  /** What it says besides. */
  readonly next: () => Promise<string>
}

export async function attacker(child: ChildProcess): Promise<Attacker> {
  const next = linesOf(child)
  assert.equal(await next(), 'ready')
  const attack = (words: readonly string[]) => {
    child.stdin!.write(`${words.join(' ')}\n`)
    return next()
  }
  return Object.assign(attack, { next })
}

/** The pid of a process in its own namespace, which is the last of proc_pid_status(5). */
export const innerPid = (pid: string): string =>
  /^NSpid:.*\s(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]!
