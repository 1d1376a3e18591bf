/**
 * Payloads that leave nothing to a command that enters: they take all processes, descriptors or memory that their sandbox may have. The command
 * runs inside, or fails with one clear error; and `close()` ends them all.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { evaluate } from '../support/evaluate.js'
import { delegate } from '../support/groups.js'
import { noGroups, notInstalled } from '../support/needs.js'
import { assertGone, uniqueSeconds } from '../support/processes.js'
import { callers, root } from '../support/user.js'

/** Each says "full" when it has all, and keeps it. It stops by itself long before it could harm this machine. */
const processes = `
import os, sys, time
try:
    for n in range(200):
        if os.fork() == 0: break
    else: print('unlimited', flush=True)
except OSError: print('full', flush=True)
time.sleep(float(sys.argv[1]))`
const descriptors = `
import os, sys, time
kept = []
try:
    for n in range(100000): kept.append(os.open('/dev/null', os.O_RDONLY))
except OSError: print('full', flush=True)
time.sleep(float(sys.argv[1]))`
const memory = `
import mmap, sys, time
print('full', flush=True)
kept = []
for n in range(1024):
    kept.append(mmap.mmap(-1, 1 << 20))
    kept[-1].write(b'x' * (1 << 20))
time.sleep(float(sys.argv[1]))`

interface Crowd {
  readonly policy: StrictPolicy
  readonly takes: string
  /** Why it cannot be tried here. */
  readonly skip?: string | false
  /** Root has no limit of processes: setrlimit(2), RLIMIT_NPROC. */
  readonly notRoot?: true
  /** How the sandbox may end by it. */
  readonly ends?: 'memory-limit'
}

const crowds: Readonly<Record<string, Crowd>> = {
  'all processes of its group': { policy: { limits: { pids: 20 } }, takes: processes, skip: noGroups('pids') },
  'all processes of its user': { policy: { rlimits: { nproc: 40 } }, takes: processes, notRoot: true },
  'all its descriptors': { policy: { limits: { openFiles: 64 } }, takes: descriptors },
  'all memory of its group': {
    policy: { limits: { memory: '64M' } },
    takes: memory,
    skip: noGroups('memory'),
    ends: 'memory-limit',
  },
}

/** As the library tells it: how it ended, or one sentence with a hint below. */
const clear =
  /^(ok|exit|killed|signal|memory-limit|SandboxError: cannot [^\n]+(\n {6}[^\n]+)?|CommandError: cannot run [^\n]+(\n {6}[^\n]+)?)$/

for (const caller of callers)
  describe(`a payload of ${caller.name} that leaves nothing to others`, { skip: notInstalled('python3') }, () => {
    for (const [what, { policy, takes, skip = false, notRoot, ends }] of Object.entries(crowds))
      test(`${what}: commands end clearly, and close() ends it`, {
        skip: skip || (notRoot && caller.uid === root.uid && 'root has no such limit'),
        timeout: 120_000,
      }, async () => {
        const delegation = delegate(caller)
        after(() => delegation.remove())
        const word = uniqueSeconds()
        const { said, told, end } = await evaluate(
          caller,
          async ({ sandbox }, { policy, takes, word }) => {
            const box = await sandbox(policy).open()
            const crowd = box.spawn('python3', ['-c', takes, word])
            const said = await new Promise<string>((resolve) =>
              crowd.stdout!.once('data', (bytes) => resolve(`${bytes}`.trim())),
            )
            const told: string[] = []
            for (let turn = 0; turn < 10; turn++)
              told.push(
                await box.run('sh', ['-c', 'true | true']).then(
                  ({ verdict }) => verdict.kind,
                  ({ name, message }) => `${name}: ${message}`,
                ),
              )
            await box.close()
            await crowd.result.catch(() => {})
            return { said, told, end: (await box.wait()).verdict.kind }
          },
          { policy: { preset: 'system', ...policy } as StrictPolicy, takes, word },
          delegation.wrapper === undefined ? {} : { wrapper: delegation.wrapper },
        )
        assert.equal(said, 'full')
        for (const one of told) assert.match(one, clear)
        if (ends === undefined) assert.equal(end, 'killed')
        else assert.ok(end === ends || end === 'killed', end)
        await assertGone(word)
      })
  })
