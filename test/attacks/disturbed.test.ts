/**
 * Payloads that change what a command finds while it enters: they take the mounts away beneath it, its root, or all that the sandbox may use.
 * The command runs inside, or fails with one clear error; nothing of the host is reached; and the sandbox can be ended.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { as, living } from '../support/living.js'
import { withSteps } from '../support/plans.js'
import { type Caller, callers, root, workDirectory } from '../support/user.js'
import { attackProgram, holding, noAttacks } from './attack.js'
import { attacker, linesOf } from './attacker.js'

/** What takes effect for all processes of the sandbox, those that are entering among them. */
const deeds: Readonly<Record<string, readonly string[]>> = {
  'covers the directories of PATH': ['cover', '/usr'],
  'covers the root': ['cover', '/'],
  'covers /proc': ['cover', '/proc'],
  'changes the root': ['new-root'],
}

const policy: StrictPolicy = {
  preset: 'system',
  ...holding('CAP_SYS_ADMIN', 'CAP_SYS_CHROOT'),
  filesystem: [
    { proc: '/proc', masked: false },
    { bind: '/attack', from: attackProgram() },
  ],
}

/** A sandbox with a payload that waits for a word; and what enters it, held behind so many calls. */
async function scene(t: TestContext, caller: Caller, secret: string) {
  const sandbox = await living(t, caller, 'disturbed', policy)
  const spawned = (program: string, words: readonly string[]) => {
    const child = spawn(program, words, { stdio: ['pipe', 'pipe', 'ignore'], env: {}, ...as(caller) })
    t.after(() => child.kill('SIGKILL'))
    return child
  }
  const attack = await attacker(spawned(sandbox.entrant, [...sandbox.target, '/', '/attack', 'serve']))
  const hold = async (calls: number, program = sandbox.entrant) => {
    const words = ['hold', 'real', `${calls}`, program, ...sandbox.target, '/', '/usr/bin/cat', secret]
    const child = spawned(attackProgram(), words)
    const next = linesOf(child)
    const said: string[] = []
    // What the command wrote may stand before the last, without an end of its own.
    const until = async (pattern: RegExp) => {
      while (!pattern.test(said.at(-1) ?? '')) {
        said.push(await next())
        assert.doesNotMatch(said.at(-1)!, /^it has ended/, said.join(' '))
      }
      return said.at(-1)!
    }
    const [word, made] = (await until(/(held|executed) \d+$/)).split(' ').slice(-2)
    const go = async () => {
      if (word!.endsWith('held')) child.stdin.end('\n')
      await until(/ended \d+$/)
      return said.join('\n')
    }
    return { calls: Number(made), go }
  }
  return { sandbox, attack, hold }
}

/** Of the command, or of vial. */
const clear = /^[^\n]*cat[^\n]*: No such file or directory\n( {6}[^\n]*\n)?$/
/** The command found no such file; or it was not found, or its directory was not. */
const harmless = /ended (1|125|126|127)$/

for (const caller of callers)
  describe(`a payload of ${caller.name} that is there when a command enters`, { skip: noAttacks }, () => {
    const secret = join(workDirectory(caller, 'disturbing'), 'secret')
    const own = (path: string) => process.getuid?.() === 0 && chownSync(path, caller.uid, caller.gid)
    writeFileSync(secret, 'reached')
    own(secret)

    for (const [does, words] of Object.entries(deeds))
      test(`${does}, behind each of its calls: the command stays inside, or is not executed`, async (t) => {
        const { hold } = await scene(t, caller, secret)
        const all = await hold(Number.MAX_SAFE_INTEGER)
        assert.match(await all.go(), /ended 1$/)
        // Root’s differ in no call.
        for (let calls = 0; calls <= all.calls; calls += caller.uid === root.uid ? 5 : 1) {
          const { sandbox, attack, hold } = await scene(t, caller, secret)
          const held = await hold(calls)
          assert.equal(await attack(words), 'succeeded')
          const said = await held.go()
          assert.doesNotMatch(said, /reached/, `behind ${calls} calls`)
          assert.match(said, harmless, `behind ${calls} calls`)
          // What enters later finds the same.
          const later = spawnSync(sandbox.entrant, [...sandbox.target, '/', '/usr/bin/cat', secret], {
            encoding: 'utf8',
            env: {},
            ...as(caller),
          })
          assert.equal(later.stdout, '')
          assert.match(later.stderr, clear)
          sandbox.monitor.kill('SIGKILL')
        }
      })

    test('weakened: what does not join the mounts reads it', async (t) => {
      const { sandbox, hold } = await scene(t, caller, secret)
      const path = join(sandbox.directory, 'elsewhere')
      const { plan } = compile(policy, { enters: true })
      const left = withSteps(plan, (step) => (step.do === 'join' && step.namespace === 'mount' ? [] : [step]))
      writeFileSync(path, compilePlan(left).bytes, { mode: 0o755 })
      own(path)
      assert.match(await (await hold(Number.MAX_SAFE_INTEGER, path)).go(), /^reached/m)
    })
  })
