/** Finds the processes of one sandbox among all of the machine's, by a word that each has on its command line. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A number of seconds for sleep(1) that no other process uses. */
export const uniqueSeconds = () => String(1e9 + randomInt(1e9))

/** Pids of the processes, other than zombies, with this word in their command line. */
export function processesWith(word: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** The one of them that executes a program of this name. */
export function processNamed(name: string, word: string): number {
  const found = processesWith(word).filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name)
  assert.equal(found.length, 1, `processes ${name} with ${word}`)
  return found[0]!
}

/** Kills all processes with this word; some die of the end of others before their turn. */
export function killAll(word: string): void {
  for (const pid of processesWith(word)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {}
  }
}

/** Waits until a look satisfies, and gives what was seen. Fails after half a minute and a hundred looks: no machine is that slow. */
export async function eventually<Seen>(look: () => Seen, satisfies: (seen: Seen) => boolean): Promise<Seen> {
  const end = performance.now() + 30_000
  for (let looks = 0; looks < 100 || performance.now() < end; looks++) {
    const seen = look()
    if (satisfies(seen)) return seen
    await sleep(10)
  }
  assert.fail(`seen last, for ${satisfies}: ${JSON.stringify(look())}`)
}

/** Fails when processes with this word live on. */
export async function assertGone(word: string): Promise<void> {
  assert.deepEqual(
    await eventually(
      () => processesWith(word),
      (pids) => pids.length === 0,
    ),
    [],
  )
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}
