/** `vial` as its users call it for named sandboxes: each command a process of its own, with a directory of records of the test's. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const vial = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

export interface Said {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** `vial` with a directory of records of the test's own; what still runs at the end is removed. */
export function commander(t: TestContext): {
  call(...args: readonly string[]): Promise<Said>
  /** Does not wait for its end. */
  start(...args: readonly string[]): ChildProcess
  readonly home: string
} {
  const runtime = realpathSync(mkdtempSync(join(tmpdir(), 'vial-named-')))
  const home = join(runtime, 'vial')
  const begin = (args: readonly string[]) =>
    spawn(process.execPath, [vial, ...args], { env: { ...process.env, XDG_RUNTIME_DIR: runtime } })
  const call = async (...args: readonly string[]): Promise<Said> => {
    const child = begin(args)
    const [out, err] = [child.stdout, child.stderr].map((stream) => {
      const parts: Buffer[] = []
      stream.on('data', (bytes) => parts.push(bytes))
      return parts
    })
    child.stdin.end()
    const [status] = await once(child, 'close')
    return { status, out: Buffer.concat(out!).toString(), err: Buffer.concat(err!).toString() }
  }
  t.after(async () => {
    for (const name of existsSync(home) ? readdirSync(home) : []) await call('rm', '-f', name)
    assert.deepEqual(existsSync(home) ? readdirSync(home) : [], [])
    rmSync(runtime, { recursive: true })
  })
  const start = (...args: readonly string[]) => {
    const child = begin(args)
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  return { call, start, home }
}

export const monitorOf = (home: string, name: string): number =>
  JSON.parse(readFileSync(join(home, name, 'record.json'), 'utf8')).monitor.pid

/** A command of sh(1) that tells the signals it gets; INT ends it with 6. */
export const listing =
  'for s in TERM HUP USR1; do trap "echo $s" $s; done; trap "echo INT; exit 6" INT; echo ready; while :; do sleep 0.02; done'

/** Waits until that is what is kept of its words. */
export async function saidBy(call: ReturnType<typeof commander>['call'], name: string, words: string): Promise<void> {
  while ((await call('logs', name)).out !== words);
}
