/** Commands of one sandbox reach each other, through whichever door they came; and none reaches what its namespaces do not hold in. */
import assert from 'node:assert/strict'
import { chmodSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { errno } from '../../src/kernel/errno.js'
import { evaluate } from '../support/evaluate.js'
import { noScopes } from '../support/needs.js'
import { type Caller, callers, workDirectory } from '../support/user.js'
import type { Met } from './meeting.js'

const meeting = new URL('meeting.js', import.meta.url).href

async function met(caller: Caller, policy: StrictPolicy): Promise<Met> {
  const directory = workDirectory(caller, 'meeting')
  chmodSync(directory, 0o700)
  return evaluate(
    caller,
    async (_, { meeting, policy, directory }) => (await import(meeting)).meet(policy, directory),
    { meeting, policy, directory },
    { env: { XDG_RUNTIME_DIR: directory } },
  )
}

for (const caller of callers) {
  describe(`commands of one sandbox, by ${caller.name}`, () => {
    test('send each other signals, and connect to abstract sockets where no Landlock holds these in', async () => {
      assert.deepEqual(await met(caller, { landlock: 'off' }), {
        joined: { connects: 0, signals: 0 },
        init: 'connects 0\nsignals 0',
      })
    })

    // Each command is a domain of its own, in which Landlock holds its connections.
    test('send each other signals, and connect to no abstract socket', { skip: noScopes() }, async () => {
      for (const network of ['none', 'host'] as const)
        assert.deepEqual(await met(caller, { network }), {
          joined: { connects: errno.EPERM, signals: 0 },
          init: `connects ${errno.EPERM}\nsignals 0`,
        })
    })

    // A process group of the caller's reaches beyond the pid namespace.
    test('send none where the session is the caller’s', { skip: noScopes() }, async () => {
      assert.deepEqual(await met(caller, { session: 'host' }), {
        joined: { connects: errno.EPERM, signals: 1 },
        init: `connects ${errno.EPERM}\nsignals 1`,
      })
    })
  })
}
