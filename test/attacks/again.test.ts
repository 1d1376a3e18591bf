/**
 * A command that enters a sandbox and is the very program that enters it: a link to /proc/self/exe, or a script of it (CVE-2019-5736).
 * Payloads that are there already look at it, held still before its first instruction, and would make that program another: the
 * monitor's, which all that enters executes, or the file in the cache of vial.
 *
 * The monitor's own may only be executed, and so cannot be opened by a payload. What can be opened is sealed, and of that one process.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import { programHandles } from '../../src/plan/handles.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { as } from '../support/living.js'
import type { Body } from '../support/evaluate.js'
import { type Caller, callers, root, vial, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks, open } from './attack.js'
import { type Attacker, attacker, innerPid, linesOf } from './attacker.js'
import { filesBelow, recursive } from './recursive.js'

const name = 'again'
const command = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))
const inside = fileURLToPath(new URL('../support/inside.js', import.meta.url))

interface Scene {
  readonly caller: Caller
  readonly env: Record<string, string>
  /** Of the monitor, in /proc. */
  readonly place: string
  readonly start: string
  readonly policy: StrictPolicy
  /** Where vial keeps what it executes. */
  readonly cache: string
  /** Commands that are what executes them, inside. */
  readonly commands: readonly string[]
  readonly directory: string
  readonly attack: Attacker
}

/** A way into the sandbox, as words before those of a command; and whether the program may be looked at by what is inside. */
interface Way {
  readonly words: (scene: Scene) => readonly string[]
  readonly program: 'only executed' | 'sealed'
}

const held = (program: keyof typeof programHandles): Way => ({
  words: ({ place, start }) => [`${place}/fd/${programHandles[program]}`, place, start, '/'],
  program: 'only executed',
})
const node = (program: Way['program'], ...words: readonly string[]): Way => ({
  words: () => [process.execPath, ...words],
  program,
})

/** What the library does in a process of its own: test/support/evaluate.ts. */
const library = (how: 'run' | 'spawn') => {
  const body: Body<{ name: string; how: 'run' | 'spawn' }, never> = async ({ Sandbox }, { name, how }) => {
    const box = await Sandbox.attach(name)
    const words = process.argv.slice(4)
    const command = process.argv[3]!
    const { exitCode } = await (how === 'run' ? box.run(command, words) : box.spawn(command, words).result)
    // The sandbox goes on, and the box with it.
    process.exit(exitCode ?? 1)
  }
  return node('sealed', inside, JSON.stringify({ body: body.toString(), data: { name, how } }))
}

const ways: Readonly<Record<string, Way>> = {
  "the monitor's program": held('alone'),
  "the monitor's program that reports": held('reporting'),
  'vial exec': node('only executed', command, 'exec', name),
  'vial exec with a limit of its own': node('sealed', command, 'exec', '--open-files', '64', name),
  'box.run': library('run'),
  'box.spawn': library('spawn'),
}

let scenes = 0

async function scene(t: TestContext, caller: Caller, given: StrictPolicy): Promise<Scene> {
  const of = `again-${++scenes}`
  const directory = workDirectory(caller, of)
  const [runtime, shared] = ['runtime', 'commands'].map((one) => workDirectory(caller, join(of, one))) as [
    string,
    string,
  ]
  const home = workDirectory(caller, 'home')
  const env = { PATH: '/usr/bin:/bin', HOME: home, XDG_RUNTIME_DIR: runtime }
  const policy: StrictPolicy = {
    preset: 'system',
    ...given,
    filesystem: [
      { bind: '/attack', from: attackProgram() },
      { bind: '/shared', from: shared },
    ],
  }
  const file = join(directory, 'policy.json')
  writeFileSync(file, JSON.stringify(policy))
  const commands = recursive(shared).map((one) => `/shared/${one}`)
  const { stderr, status } = vial(caller, ['start', '--name', name, '--policy', file], { env })
  assert.equal(status, 0, stderr)
  t.after(() => vial(caller, ['rm', '-f', name], { env }))
  const { monitor } = JSON.parse(readFileSync(join(runtime, 'vial', name, 'record.json'), 'utf8'))
  const payload = spawn(process.execPath, [command, 'exec', name, '/attack', 'serve'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env,
    ...as(caller),
  })
  t.after(() => payload.kill('SIGKILL'))
  return {
    caller,
    env,
    policy,
    commands,
    directory,
    place: `/proc/${monitor.pid}`,
    start: monitor.start,
    cache: join(home, '.cache'),
    attack: await attacker(payload),
  }
}

/** Starts what enters, and holds its command before its first instruction; or how that ended before. */
async function hold(t: TestContext, { caller, env, directory }: Scene, words: readonly string[]) {
  const report = openSync(join(directory, 'report'), 'w')
  const child: ChildProcess = spawn(attackProgram(), ['hold-command', ...words], {
    stdio: ['pipe', 'pipe', 'ignore', report],
    env,
    ...as(caller),
  })
  t.after(() => child.kill('SIGKILL'))
  const next = linesOf(child)
  const line = await next()
  if (!line.startsWith('held')) return line
  return { pid: innerPid(line.split(' ')[1]!), go: () => child.stdin!.end('\n'), ended: next }
}

/** What a payload gains by a command that is what executes it: nothing that it may open, or what it then may write. */
async function gained(t: TestContext, scene: Scene, words: readonly string[]): Promise<string> {
  const command = await hold(t, scene, words)
  if (typeof command === 'string') return command
  const { pid, go, ended } = command
  let answer = await scene.attack(['write-executable', pid])
  const taken = answer === 'taken'
  go()
  assert.match(await ended(), /^ended [1-9]/)
  if (taken) answer = `written: ${await scene.attack.next()}`
  return answer
}

interface Kind {
  readonly policy: StrictPolicy
  /** How an attack ends on a program that can be opened. */
  readonly sealed: RegExp
  /** And on one that is a file of the caller's. */
  readonly file: RegExp
  readonly by?: 'root'
}

const refused = /^E(ACCES|PERM)$/
/** Of a command that has it for an interpreter, what can be opened is that command, on a read-only mount. */
const unwritten = /^written: E(PERM|ACCES|ROFS)$/

const written = /^written: succeeded$/

const kinds: Readonly<Record<string, Kind>> = {
  'with nothing behind the namespaces': { policy: open, sealed: unwritten, file: written },
  // With Landlock a payload executes no file but those that it is shown.
  'of the default policy': { policy: {}, sealed: refused, file: /^E(ACCES|PERM)$|^ended 126$/ },
  'in root mode': {
    policy: { ...open, namespaces: { user: 'host' } },
    sealed: unwritten,
    file: unwritten,
    by: 'root',
  },
}

for (const caller of callers)
  for (const [kind, { policy, sealed, file, by }] of Object.entries(kinds)) {
    if (by === 'root' && caller.uid !== root.uid) continue
    describe(`payloads ${kind}, of ${caller.name}, and a command that is what enters`, { skip: noAttacks }, () => {
      test('change nothing that is executed later, by any way in', { timeout: 300_000 }, async (t) => {
        const at = await scene(t, caller, policy)
        const enter = (way: Way, ...command: string[]) => {
          const report = openSync(join(at.directory, 'report'), 'w')
          const [program, ...words] = [...way.words(at), ...command]
          const { status } = spawnSync(program!, words, {
            stdio: ['ignore', 'ignore', 'inherit', report],
            env: at.env,
            ...as(caller),
          })
          return status
        }
        for (const [name, way] of Object.entries(ways)) assert.equal(enter(way, 'true'), 0, name)
        const before = filesBelow(at.cache)
        for (const [name, way] of Object.entries(ways))
          for (const command of policy === open ? at.commands : at.commands.slice(0, 1)) {
            const expected = way.program === 'sealed' ? sealed : refused
            assert.match(await gained(t, at, [...way.words(at), command]), expected, `${name}: ${command}`)
          }
        assert.deepEqual(filesBelow(at.cache), before)
        for (const [name, way] of Object.entries(ways)) assert.equal(enter(way, 'true'), 0, name)

        // Weakened: it is not sealed.
        const { plan } = compile(at.policy, { enters: true })
        const path = join(at.directory, 'unsealed')
        const unsealed = compilePlan({ ...plan, start: { ...plan.start, sealed: false } }).bytes
        writeFileSync(path, unsealed, { mode: 0o755 })
        if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
        assert.match(await gained(t, at, [path, at.place, at.start, '/', at.commands[0]!]), file, 'not sealed')
        assert.equal(readFileSync(path).equals(unsealed), file !== written)
      })
    })
  }
