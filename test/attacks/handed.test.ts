/**
 * A socket that the caller made and hands to a command as its standard input: it belongs to the host's network, and by it the command could
 * connect to the host's abstract sockets. The wall is Landlock's, and is the same for what a run starts and for what enters a sandbox.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { evaluate } from '../support/evaluate.js'
import { noScopes } from '../support/needs.js'
import { type Caller, callers, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks } from './attack.js'

/** As this user, runs the words behind it with a datagram socket for standard input, while another one has the name. */
const handing = `
import os, socket, sys
name, uid = sys.argv[1], int(sys.argv[2])
listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listening.bind('\\0' + name)
child = os.fork()
if child == 0:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    os.dup2(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).detach(), 0)
    os.execvp(sys.argv[3], sys.argv[3:])
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))`

const name = `vial-handed-${process.pid}`
const wrapper = (caller: Caller) => ['python3', '-c', handing, name, `${caller.uid}`] as const
const command = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const words = ['abstract-of-stream', name] as const

type Walls = 'on' | 'off'
type Door = (t: TestContext, caller: Caller, landlock: Walls) => string | Promise<string>

/** `vial ARGS`, with that socket. */
function called(caller: Caller, args: readonly string[], env: Record<string, string>): string {
  const [program, ...before] = [...wrapper(caller), process.execPath, command, ...args]
  const { stdout, stderr } = spawnSync(program!, before, {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), ...env },
  })
  return stdout.trim() || stderr
}

const policyOf = (landlock: Walls): StrictPolicy => ({
  preset: 'system',
  landlock,
  filesystem: [{ bind: '/attack', from: attackProgram() }],
})

/** The words of a start. */
function given(caller: Caller, landlock: Walls): readonly string[] {
  const path = join(workDirectory(caller, 'handed'), `${landlock}.json`)
  writeFileSync(path, JSON.stringify(policyOf(landlock)))
  return ['--policy', path]
}

const throughCommand: Readonly<Record<string, Door>> = {
  'vial run': (_, caller, landlock) =>
    called(caller, ['run', ...given(caller, landlock), '--', '/attack', ...words], {}),
  'vial exec': (t, caller, landlock) => {
    const env = { XDG_RUNTIME_DIR: workDirectory(caller, 'handed') }
    t.after(() => called(caller, ['rm', '-f', 'handed'], env))
    assert.match(called(caller, ['start', '--name', 'handed', ...given(caller, landlock)], env), /^handed runs/)
    return called(caller, ['exec', 'handed', '/attack', ...words], env)
  },
}

const throughLibrary = ['run', 'box.run', 'box.spawn'] as const

const library =
  (door: (typeof throughLibrary)[number]): Door =>
  (_, caller, landlock) =>
    evaluate(
      caller,
      async ({ sandbox }, { door, policy, words }) => {
        if (door === 'run') return (await sandbox(policy).run('/attack', words, { stdin: 'inherit' })).stdout.trim()
        const box = await sandbox(policy).open()
        try {
          if (door === 'box.run') return (await box.run('/attack', words, { stdin: 'inherit' })).stdout.trim()
          const child = box.spawn('/attack', words, { stdio: ['inherit', 'pipe', 'inherit'] })
          let said = ''
          for await (const bytes of child.stdout!) said += bytes
          return said.trim()
        } finally {
          await box.close()
        }
      },
      { door, policy: policyOf(landlock), words },
      { wrapper: wrapper(caller) },
    )

const doors: Readonly<Record<string, Door>> = {
  ...throughCommand,
  ...Object.fromEntries(throughLibrary.map((door) => [door === 'run' ? 'sandbox.run' : door, library(door)])),
}

for (const caller of callers)
  describe(`a datagram socket of the host's, handed on by ${caller.name}`, { skip: noAttacks || noScopes() }, () => {
    for (const [door, through] of Object.entries(doors))
      test(`${door}: connects to no abstract socket of the host's`, async (t) => {
        assert.equal(await through(t, caller, 'on'), 'EPERM')
      })
    for (const [door, through] of Object.entries(doors))
      test(`${door}, without Landlock: connects`, async (t) => {
        assert.equal(await through(t, caller, 'off'), 'succeeded')
      })
  })
