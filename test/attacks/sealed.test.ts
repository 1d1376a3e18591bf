/**
 * What a process of the sandbox executes while the payload might look at it: memory that is sealed. Where it cannot look, the file
 * in the cache is as good; a test of doors.test.ts tries.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { Policy } from '../../src/index.js'
import { start } from '../support/evaluate.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { childrenOf } from '../support/processes.js'
import { type Caller, callers, root } from '../support/user.js'

const policies: Readonly<Record<string, readonly [Policy, 'sealed' | 'cached']>> = {
  'the default': [{ preset: 'system' }, 'cached'],
  "the host's pid namespace": [{ preset: 'system', namespaces: { pid: 'host' } }, 'sealed'],
  'a capability': [{ preset: 'system', capabilities: ['CAP_NET_RAW'] }, 'sealed'],
  'sandboxes inside': [{ preset: 'system', seccomp: 'nested' }, 'sealed'],
  'no filter': [{ preset: 'system', seccomp: 'none' }, 'sealed'],
  'root mode': [{ preset: 'system', namespaces: { user: 'host' } }, 'sealed'],
}

/** F_GET_SEALS of a file that is executed: 1034, and the bit that forbids writing. */
const seals = (pid: number) =>
  spawnSync('python3', ['-c', `import fcntl; print(fcntl.fcntl(open("/proc/${pid}/exe"), 1034) & 8)`], {
    encoding: 'utf8',
  }).stdout.trim()

async function executables(caller: Caller, policy: Policy): Promise<{ link: string; sealed: string }[]> {
  const node = start(
    caller,
    async ({ sandbox }, policy) => {
      const child = sandbox(policy as never).spawn('sh', ['-c', 'echo up; read line'])
      child.stdout!.once('data', () => process.stdout.write(`${child.pid}\n`))
      await child.result
    },
    policy,
    {},
  )
  try {
    const [line] = await once(node.stdout!, 'data')
    const monitor = Number(String(line))
    const [init] = childrenOf(monitor)
    return [monitor, init!].map((pid) => ({ link: readlinkSync(`/proc/${pid}/exe`), sealed: seals(pid) }))
  } finally {
    node.kill('SIGKILL')
  }
}

for (const caller of callers) {
  // Only root may look at processes that are not dumpable.
  describe(`what is executed, by ${caller.name}`, { skip: notRoot || notInstalled('python3') }, () => {
    for (const [name, [policy, expected]] of Object.entries(policies)) {
      // Root mode is root's, and root may have no sandboxes inside.
      if (name === (caller.uid === root.uid ? 'sandboxes inside' : 'root mode')) continue
      test(`${name}: ${expected}`, async () => {
        for (const { link, sealed } of await executables(caller, policy)) {
          if (expected === 'cached') assert.match(link, /\/[0-9a-f]{40}$/)
          else assert.deepEqual([link, sealed], ['/memfd:vial (deleted)', '8'])
        }
      })
    }
  })
}
