/**
 * Payloads of a sandbox against a command that enters it: they look at it, trace it and stop it before it executes. It is held still by a
 * tracer outside, behind whichever of its system calls (hold in programs/entrants.c), so that no attack has to win a race.
 *
 * The wall is that it is not dumpable. Weakened, PR_SET_DUMPABLE does nothing: then they succeed.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { as, type LivingSandbox, living } from '../support/living.js'
import { notRoot } from '../support/needs.js'
import { type Caller, callers, root } from '../support/user.js'
import { attackProgram, holding, lacks, noAttacks, open } from './attack.js'
import { attacker, innerPid, linesOf } from './attacker.js'

/** What is in /proc of a process, for its tracers only. */
const files = ['environ', 'maps', 'auxv', 'fdinfo/0', 'root', 'cwd', 'exe', 'ns/mnt', 'personality']

const looks: readonly (readonly string[])[] = [
  ...files.map((name) => ['look', 'PID', name]),
  ['mapped-files', 'PID'],
  ['open-memory', 'PID'],
  ['read-memory', 'PID', '400000'],
  ['write-memory', 'PID'],
  ['steal-descriptor', 'PID'],
  ['executable-of', 'PID'],
  ['trace', 'PID'],
  ['attach', 'PID'],
]
/** SECURITY.md: "What enters a sandbox that runs". */
const disturbances: readonly (readonly string[])[] = [
  ['signal', 'PID'],
  ['stop', 'PID'],
  ['limit-of', 'PID'],
]

const refused = /^E(PERM|ACCES)$/

/** By which the attacker came to be in the sandbox. */
const doors = ['built by init', 'joined'] as const

async function scene(t: TestContext, caller: Caller, policy: StrictPolicy, door: (typeof doors)[number]) {
  const serve = ['/attack', 'serve']
  const sandbox = await living(t, caller, 'attacked', policy, door === 'joined' ? [] : serve)
  if (door !== 'joined') return { sandbox, attack: await attacker(sandbox.monitor) }
  const joined = spawn(sandbox.entrant, [...sandbox.target, '/', ...serve], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {},
    ...as(caller),
  })
  t.after(() => joined.kill('SIGKILL'))
  return { sandbox, attack: await attacker(joined) }
}

interface Held {
  /** The pid of what is held, in the sandbox; undefined: it has executed its command. */
  readonly pid: string | undefined
  /** Lets it go on; how what made it ended. */
  readonly go: () => Promise<string>
  /** How many calls it made, where it was not held. */
  readonly calls: number
}

/** Something that enters, and is held behind so many system calls. */
async function enter(
  t: TestContext,
  caller: Caller,
  { target }: LivingSandbox,
  program: string,
  how: 'real' | 'weakened',
  calls: number,
): Promise<Held> {
  const child = spawn(attackProgram(), ['hold', how, String(calls), program, ...target, '/', '/usr/bin/true'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {},
    ...as(caller),
  })
  t.after(() => child.kill('SIGKILL'))
  const next = linesOf(child)
  const [word, number] = (await next()).split(' ')
  assert.match(word!, /^(held|executed)$/)
  const go = () => {
    child.stdin!.end('\n')
    return next()
  }
  if (word === 'executed') return { pid: undefined, calls: Number(number), go }
  return { pid: innerPid(number!), calls, go }
}

/** A program that enters as the one of the monitor, and that its caller may read: what `box.run` executes is such a one. */
function readableEntrant({ directory }: LivingSandbox, policy: StrictPolicy): string {
  const path = join(directory, 'entrant')
  writeFileSync(path, compile(policy, { enters: true }).bytes, { mode: 0o755 })
  return path
}

interface Kind {
  readonly policy: StrictPolicy
  /** What is before the words of each attack. */
  readonly words?: readonly string[]
  readonly by?: 'root'
  /** The kernel refuses them also where PR_SET_DUMPABLE does nothing. */
  readonly alsoRefused?: string
}

const attack = { bind: '/attack' } as const
const withAttack = (policy: StrictPolicy): StrictPolicy => ({
  preset: 'system',
  ...policy,
  filesystem: [{ ...attack, from: attackProgram() }, ...(policy.filesystem ?? [])],
})
const all = Object.keys(capabilities) as CapabilityName[]
const suidDumpable = Number(readFileSync('/proc/sys/fs/suid_dumpable', 'latin1'))
const rootMode = { namespaces: { user: 'host' } } as const

const kinds: Readonly<Record<string, Kind>> = {
  'without capabilities': { policy: open },
  'with all in a user namespace of their own': {
    policy: open,
    words: ['nested'],
    alsoRefused: 'capabilities there are none over a process of the namespace around it: ptrace(2)',
  },
  'with all in the user namespace of the sandbox': { policy: holding(...all) },
  'without capabilities, in root mode': {
    policy: { ...open, ...rootMode },
    by: 'root',
    alsoRefused: 'who changes his ids is not dumpable where the sysctl fs.suid_dumpable is 0',
  },
}

for (const caller of callers)
  for (const [kind, { policy: given, words = [], by, alsoRefused }] of Object.entries(kinds)) {
    if (by === 'root' && caller.uid !== root.uid) continue
    describe(`payloads ${kind}, of ${caller.name}`, { skip: noAttacks }, () => {
      const policy = () => withAttack(given)
      for (const door of doors)
        test(`${door}: nothing of what enters can be seen or traced before it executes`, async (t) => {
          const { sandbox, attack } = await scene(t, caller, policy(), door)
          const readable = readableEntrant(sandbox, policy())
          const answers = async (held: Held, list: typeof looks) => {
            const seen: [string, string][] = []
            for (const one of list) {
              const all = [...words, ...one.map((word) => (word === 'PID' ? held.pid! : word))]
              seen.push([one.join(' '), await attack(all)])
            }
            return seen
          }
          for (const program of [sandbox.entrant, readable]) {
            const { calls: last } = await enter(t, caller, sandbox, program, 'real', Number.MAX_SAFE_INTEGER)
            // From its first moment to its last; each moment, where it is the plainest of them.
            const each = kind === 'without capabilities' && door === 'joined' && program === sandbox.entrant
            for (let calls = 0; calls <= last; calls += each ? 1 : last) {
              const held = await enter(t, caller, sandbox, program, 'real', calls)
              for (const [what, answer] of await answers(held, looks))
                assert.match(answer, refused, `${what}, behind ${calls} calls`)
              assert.equal(await held.go(), 'ended 0')
            }
          }
          const { calls: last } = await enter(t, caller, sandbox, readable, 'weakened', Number.MAX_SAFE_INTEGER)
          const held = await enter(t, caller, sandbox, readable, 'weakened', last)
          for (const [what, answer] of await answers(held, looks))
            if (alsoRefused === undefined) assert.equal(answer, 'succeeded', what)
            else if (suidDumpable === 0) assert.match(answer, refused, `${what}: ${alsoRefused}`)
          assert.equal(await held.go(), 'ended 0')
        })

      test('they can stop it, limit it and end it, and no more: what entered is told to have been killed', async (t) => {
        const { sandbox, attack } = await scene(t, caller, policy(), 'joined')
        const { calls: last } = await enter(t, caller, sandbox, sandbox.entrant, 'real', Number.MAX_SAFE_INTEGER)
        const held = await enter(t, caller, sandbox, sandbox.entrant, 'real', last)
        for (const [word] of disturbances) assert.equal(await attack([...words, word!, held.pid!]), 'succeeded', word)
        assert.equal(await attack([...words, 'kill', held.pid!]), 'succeeded')
        assert.equal(await held.go(), 'ended 137')
        // Nothing of it is left in their way.
        assert.equal(await (await enter(t, caller, sandbox, sandbox.entrant, 'real', last)).go(), 'ended 0')
      })
    })
  }

for (const caller of callers)
  describe(`payloads of the default policy, of ${caller.name}`, { skip: noAttacks }, () => {
    for (const door of doors)
      test(`${door}: what enters can be sent signals and limited, and nothing else`, async (t) => {
        const { sandbox, attack } = await scene(t, caller, withAttack({}), door)
        const { calls: last } = await enter(t, caller, sandbox, sandbox.entrant, 'real', Number.MAX_SAFE_INTEGER)
        const held = await enter(t, caller, sandbox, sandbox.entrant, 'real', last)
        for (const one of [...looks, ['nested', 'look', 'PID', 'environ']])
          assert.match(await attack(one.map((word) => (word === 'PID' ? held.pid! : word))), refused, one.join(' '))
        assert.equal(await attack(['limit-of', held.pid!]), 'succeeded')
        assert.equal(await attack(['signal', held.pid!]), 'succeeded')
        assert.equal(await held.go(), 'ended 0')
      })
  })

// SECURITY.md: "Capabilities that you keep".
describe('a payload of root with the capabilities of the host', { skip: noAttacks || notRoot }, () => {
  for (const [name, kept] of [
    ['all', all.filter((name) => !lacks(name))],
    ['CAP_SYS_PTRACE alone', ['CAP_SYS_PTRACE']],
  ] as const)
    test(`${name}: it traces what enters, which has all of the host’s until it drops them`, async (t) => {
      const policy = withAttack({ ...holding(...kept), ...rootMode })
      const { sandbox, attack } = await scene(t, root, policy, 'joined')
      const held = await enter(t, root, sandbox, sandbox.entrant, 'real', 0)
      assert.equal(await attack(['trace', held.pid!]), 'succeeded')
      assert.equal(await held.go(), 'ended 0')
    })
})
