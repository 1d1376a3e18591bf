/**
 * Directories that lead elsewhere: a working directory, a directory of PATH or of the command's own path that is a link to /proc/self/fd/N
 * (CVE-2024-21626), while a careless caller has a directory of the host open at every number. There are two walls: what was inherited is
 * closed before any of these is looked up, and a working directory beneath another root is refused.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chownSync, closeSync, copyFileSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Compiled, compile } from '../../src/compile/compile.js'
import { compilePlan } from '../../src/compile/compilePlan.js'
import { programHandles } from '../../src/plan/handles.js'
import type { Step } from '../../src/plan/step.js'
import type { StrictPolicy } from '../../src/policy/schema.js'
import { evaluate } from '../support/evaluate.js'
import { as, living } from '../support/living.js'
import { withSteps } from '../support/plans.js'
import { type Caller, callers, vial, workDirectory } from '../support/user.js'
import { attackProgram, noAttacks, open } from './attack.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

/** Those of the handles among them. */
const last = 130
const numbers = Array.from({ length: last + 1 }, (_, number) => number)
/** What is slow to start tries fewer: some that a start uses, and some of the handles. */
const fewer = [3, 4, 6, 100, 101, 110, 120, last]

const named = (number: number) => [`/proc/self/fd/${number}`, `/shared/${number}`]
/** Of the process itself, which was outside a moment ago. */
const others = ['/proc/self/cwd', '/proc/self/root', '/proc/1/cwd', '/proc/1/root', '/shared/cwd']

interface Scene {
  readonly caller: Caller
  readonly policy: StrictPolicy
  /** Of the host: it has `secret`, and the program `tool`, which says that it succeeded. */
  readonly outside: string
  readonly directory: string
}

let scenes = 0

function scene(caller: Caller, given: StrictPolicy): Scene {
  const of = `elsewhere-${++scenes}`
  const [directory, outside, shared] = [of, `${of}/outside`, `${of}/shared`].map((one) =>
    workDirectory(caller, one),
  ) as [string, string, string]
  writeFileSync(join(outside, 'secret'), 'reached')
  copyFileSync(attackProgram(), join(outside, 'tool'))
  for (const number of numbers) symlinkSync(`/proc/self/fd/${number}`, join(shared, `${number}`))
  symlinkSync('/proc/self/cwd', join(shared, 'cwd'))
  const filesystem: StrictPolicy['filesystem'] = [{ bind: '/shared', from: shared }]
  return { caller, policy: { preset: 'system', ...given, filesystem }, outside, directory }
}

interface Tried {
  readonly cwd?: string
  readonly words: readonly [string, ...string[]]
  readonly PATH?: string
}

const seen = ['cat', 'secret'] as const
const shown = (tool: string) => [tool, 'look', 'self', 'environ'] as const
const inDirectory = (cwd: string): Tried => ({ cwd, words: seen })
const byPath = (directories: readonly string[]): Tried => ({ words: shown('tool'), PATH: directories.join(':') })
const byName = (directory: string): Tried => ({ words: shown(`${directory}/tool`) })

const reached = /^(reached|succeeded)/m

/** Runs a program with the host's directory for its working directory, and open at each number but those of the standard streams. */
function careless(
  { caller, outside }: Scene,
  program: string,
  words: readonly string[],
  given: object = {},
  report?: number,
) {
  const leak = openSync(outside, 'r')
  const rest = numbers.slice(3).map((number) => (number === 3 && report !== undefined ? report : leak))
  const { status, stdout, stderr } = spawnSync(program, words, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe', ...rest],
    cwd: outside,
    env: { PATH: '/usr/bin:/bin', HOME: workDirectory(caller, 'home'), ...given },
    ...as(caller),
  })
  closeSync(leak)
  return { status, said: stdout + stderr }
}

type Ended = ReturnType<typeof careless>
type Door = (tried: Tried) => Ended

/** The program of a vial that takes its working directory and environment from its caller, as a file. */
function fileOf(
  { caller, directory }: Scene,
  name: string,
  { plan }: Compiled,
  change: (step: Step) => readonly Step[],
) {
  const path = join(directory, name)
  writeFileSync(path, compilePlan(withSteps(plan, change)).bytes, { mode: 0o755 })
  if (process.getuid?.() === 0) chownSync(path, caller.uid, caller.gid)
  return path
}

async function doorsOf(t: TestContext, at: Scene): Promise<Readonly<Record<string, Door>>> {
  const { caller, policy, directory } = at
  const { place, target } = await living(t, caller, `${at.directory.split('/').at(-1)}/living`, policy)
  const environment = ({ PATH }: Tried) => (PATH === undefined ? {} : { PATH })
  const own =
    (program: string, before: readonly string[], report = false): Door =>
    (tried) => {
      const file = report ? openSync(join(directory, 'report'), 'w') : undefined
      const words = [...before, tried.cwd ?? '/', ...tried.words]
      return careless(at, program, words, environment(tried), file)
    }
  const once = fileOf(at, 'once', compile(policy, { perRun: true }), (step) => [step])
  return {
    'the program that enters': own(`${place}/fd/${programHandles.alone}`, target),
    'the one that reports': own(`${place}/fd/${programHandles.reporting}`, target, true),
    'a vial': own(once, []),
  }
}

/** One line, and a hint. */
const clear = /^vial: cannot (enter the working directory|run \S+): [^\n]+\n( {6}[^\n]+\n)?$/

function refuse(door: string, enter: Door, tried: Tried, says: RegExp | undefined): void {
  const { status, said } = enter(tried)
  const what = `${door}: ${JSON.stringify(tried)}: ${said}`
  assert.doesNotMatch(said, reached, what)
  assert.notEqual(status, 0, what)
  if (says !== undefined) assert.match(said, says, what)
}

for (const caller of callers)
  for (const [kind, policy] of Object.entries({
    'with nothing behind the namespaces': open,
    'of the default policy': {},
  }))
    describe(`directories that lead elsewhere, ${kind}, by ${caller.name}`, { skip: noAttacks }, () => {
      test('what executes a vial reaches nothing by them, whatever it has open', async (t) => {
        const at = scene(caller, policy)
        for (const [door, enter] of Object.entries(await doorsOf(t, at))) {
          const reports = door === 'the one that reports'
          // That one tells a descriptor.
          const says = reports ? undefined : clear
          for (const number of reports || policy !== open ? fewer : numbers) {
            refuse(door, enter, inDirectory(`/shared/${number}`), says)
            refuse(door, enter, byName(`/shared/${number}`), says)
          }
          for (const number of fewer) refuse(door, enter, inDirectory(`/proc/self/fd/${number}`), says)
          refuse(door, enter, byPath(numbers.flatMap(named)), says)
          for (const directory of others) {
            refuse(door, enter, inDirectory(directory), undefined)
            refuse(door, enter, byName(directory), undefined)
          }
          refuse(door, enter, byPath(others), undefined)
        }
      })

      test('nor do the commands', (t) => {
        const at = scene(caller, policy)
        const runtime = workDirectory(caller, `${at.directory.split('/').at(-1)}/runtime`)
        const env = { XDG_RUNTIME_DIR: runtime }
        const file = join(at.directory, 'policy.json')
        writeFileSync(file, JSON.stringify(at.policy))
        assert.equal(vial(caller, ['start', '--name', 'elsewhere', '--policy', file], { env }).status, 0)
        t.after(() => vial(caller, ['rm', '-f', 'elsewhere'], { env }))
        const door =
          (command: readonly string[], target: readonly string[]): Door =>
          ({ cwd, words, PATH }) => {
            const flags = [
              ...(cwd === undefined ? [] : ['--cwd', cwd]),
              ...(PATH === undefined ? [] : ['--env', `PATH=${PATH}`]),
            ]
            return careless(at, process.execPath, [...command, ...flags, ...target, ...words], env)
          }
        const doors = {
          'vial exec': door([main, 'exec'], ['elsewhere']),
          'vial run': door([main, 'run', '--policy', file], ['--']),
        }
        for (const [name, enter] of Object.entries(doors)) {
          for (const number of fewer) refuse(name, enter, inDirectory(`/shared/${number}`), undefined)
          refuse(name, enter, byPath([...numbers.flatMap(named), ...others]), undefined)
          for (const number of [3, 100]) refuse(name, enter, byName(`/shared/${number}`), undefined)
          refuse(name, enter, inDirectory('/shared/cwd'), undefined)
        }
      })

      test('nor does the library', async () => {
        const at = scene(caller, policy)
        const tried = [
          ...(policy === open ? numbers : fewer).map((number) => inDirectory(`/shared/${number}`)),
          ...fewer.map((number) => byName(`/shared/${number}`)),
          ...others.map(inDirectory),
          byPath([...numbers.flatMap(named), ...others]),
        ]
        const answers = await evaluate(
          caller,
          async ({ sandbox }, { policy, tried }) => {
            const one = sandbox(policy)
            const box = await one.open()
            const ended = (run: Promise<{ exitCode: number | null; stdout: string; stderr: string }>) =>
              run.then(
                ({ exitCode, stdout, stderr }) => [exitCode, stdout + stderr] as const,
                (error) => [`${error.name}`, `${error.message}`] as const,
              )
            const answers = []
            for (const { cwd, words, PATH } of tried) {
              const [command, ...args] = words
              const options = {
                ...(cwd === undefined ? {} : { cwd }),
                ...(PATH === undefined ? {} : { env: { PATH } }),
              }
              answers.push(await ended(box.run(command, args, options)), await ended(one.run(command, args, options)))
            }
            await box.close()
            return answers
          },
          { policy: at.policy, tried },
          { cwd: at.outside },
        )
        assert.equal(answers.length, 2 * tried.length)
        for (const [index, [end, said]] of answers.entries()) {
          const what = `${JSON.stringify(tried[index >> 1])}: ${end} ${said}`
          assert.doesNotMatch(said, reached, what)
          assert.notEqual(end, 0, what)
        }
      })

      // Of what is executed, Landlock says that it was not shown.
      if (policy === open)
        test('weakened, what was inherited stays open, and all of them lead there', async (t) => {
          const at = scene(caller, policy)
          const { target } = await living(t, caller, `${at.directory.split('/').at(-1)}/living`, at.policy)
          const enters = compile(at.policy, { enters: true })
          const once = compile(at.policy, { perRun: true })
          for (const [name, compiled, before] of [
            ['entrant', enters, target],
            ['once', once, []],
          ] as const) {
            const program = (cwd: string) =>
              fileOf(at, name, compiled, (step) => {
                if (step.do === 'closeFds') return []
                if (step.do !== 'chdirNamed') return [step]
                const { what, why } = step
                return [{ do: 'chdir', path: cwd, what, why }]
              })
            for (const [index, directory] of named(50).entries()) {
              const enter = ({ cwd = '/', words, PATH }: Tried) =>
                careless(at, program(cwd), [...before, '/', ...words], PATH === undefined ? {} : { PATH })
              for (const tried of [inDirectory(directory), byName(directory), byPath([directory])])
                assert.match(enter(tried).said, reached, `${name} ${index} ${JSON.stringify(tried)}`)
            }
            // Each of the two walls stands alone.
            const closing = fileOf(at, name, compiled, (step) => (step.do === 'closeFds' ? [] : [step]))
            assert.match(
              careless(at, closing, [...before, '/shared/50', ...seen]).said,
              /^vial: cannot enter the working directory: Invalid cross-device link/,
            )
          }
        })
    })
