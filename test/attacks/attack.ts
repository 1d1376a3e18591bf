/**
 * An attack is a small real program that runs twice: under the default policy, which must refuse it, and under one that
 * was weakened in just the place that is meant to stand in its way, where it must succeed. So each is known to be able
 * to fail: judge.ts has the rules.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Policy } from '../../src/index.js'
import { type CapabilityName, capabilities } from '../../src/kernel/capabilities.js'
import { evaluate } from '../support/evaluate.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { workDirectory } from '../support/user.js'
import { judge } from './judge.js'
import { type Mode, makeScene, modes, type Scene } from './scene.js'

export interface Attack {
  /** What it tries, for people. */
  readonly tries: string
  /** The attack and its words: see programs/. */
  readonly words: readonly string[] | ((scene: Scene) => readonly string[])
  /** How the default policy answers: an errno's name, or a signal's. Several where kernels or callers differ. */
  readonly refused: readonly string[]
  /** What is added to the policy so that it succeeds; `outside`: it runs without any sandbox, and is one of `harmless`. */
  readonly weak: Partial<Policy> | ((scene: Scene) => Partial<Policy>) | 'outside'
  /**
   * Words for the weakened run, where the wall is the kernel's own and no policy takes it away: the same program is after what
   * it may reach, and so is known to be able to.
   */
  readonly control?: readonly string[]
  /** What a kernel without the feature answers, with and without the wall: there the attack is skipped. */
  readonly lacking?: string
  /** Only root can make the file that it needs. */
  readonly byRoot?: true
  /** Another program of the scene's directory than the plain one: setuid and setgid root, or with a file capability. */
  readonly runs?: 'setuid' | 'capable'
  /** What both policies have. */
  readonly base?: Partial<Policy>
  /** Entries that both policies have. */
  readonly shows?: (scene: Scene) => NonNullable<Policy['filesystem']>
  /** Where the weakened policy lets it succeed; elsewhere the kernel itself still has to refuse it. Default: everywhere. */
  readonly weakIn?: readonly Mode['name'][]
  /** Capabilities of the host's root that the weakened run needs: this machine may have taken them. */
  readonly needs?: readonly CapabilityName[]
  /** In a guest the weakened run has to succeed, whatever this machine's kernel was built without. */
  readonly guest?: boolean
}

/** Attacks that may run outside, as root too: they look at, or change, nothing but the process itself. */
const harmless = ['inherited', 'is-root', 'has-capability', 'securebits', 'keepcaps']

/** Nothing of what stands behind the namespaces. */
export const open = { seccomp: 'none', landlock: 'off' } as const

/** The same, with capabilities, as uid 0. */
export const holding = (...names: CapabilityName[]): Partial<Policy> => ({
  ...open,
  identity: { uid: 0, gid: 0 },
  capabilities: names,
  // A payload that may mount gets a /proc that covers nothing only on request, if root is behind it.
  ...(names.includes('CAP_SYS_ADMIN') ? { filesystem: [{ proc: '/proc', masked: false }] } : {}),
})

const sources = fileURLToPath(new URL('../../../test/attacks/programs/', import.meta.url))

/**
 * A directory with `attack`, compiled elsewhere: `npm run attacks:programs DIRECTORY`. Set in a throw-away guest, which may
 * have no compiler, and whose kernel has what this machine's may lack: there, nothing is left untried.
 */
const compiledDirectory = process.env.VIAL_ATTACK_PROGRAMS
/** What keeps the attacks from running: they are compiled here, unless they are brought along. */
export const noAttacks = compiledDirectory === undefined ? notInstalled('gcc', 'python3') : notInstalled('python3')

function compileAttacks(): string {
  const program = join(
    workDirectory({ name: 'root', uid: process.getuid!(), gid: process.getgid!() }, 'attacks'),
    'attack',
  )
  chmodSync(dirname(program), 0o755)
  chmodSync(dirname(dirname(program)), 0o711)
  if (compiledDirectory === undefined) compileTo(program)
  else copyFileSync(join(compiledDirectory, 'attack'), program)
  chmodSync(program, 0o755)
  return program
}

/** Builds the attacks, for any machine of this architecture: the program is static. */
export function compileTo(program: string): void {
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.c'))
    .map((name) => join(sources, name))
  const { status, stderr } = spawnSync('gcc', ['-static', '-O1', '-o', program, ...files], { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

let program: string | undefined
/** The compiled attacks, for all of a test file. */
export function attackProgram(): string {
  program ??= compileAttacks()
  return program
}

interface Trial {
  readonly policy: Policy
  readonly command: string
  readonly words: readonly string[]
}

/** Runs trials in one Node process of the caller's; each answers with its line, or the signal or error that ended it. */
function run(mode: Mode, trials: readonly Trial[]): Promise<string[]> {
  return evaluate(
    mode.caller,
    async ({ sandbox }, trials) => {
      const answers: string[] = []
      for (const { policy, command, words } of trials) {
        try {
          const { stdout, signal, stderr } = await sandbox(policy as never).run(command, words)
          answers.push(signal ?? (stdout.trim() || `nothing, but: ${stderr}`))
        } catch (error) {
          answers.push(`no sandbox: ${(error as Error).message}`)
        }
      }
      return answers
    },
    trials,
  )
}

const handedOn = openSync('/dev/null', 'r')

/** What a program answers without a sandbox, with a descriptor more than the usual three handed on. */
const outside = (mode: Mode, program: string, words: readonly string[]): string => {
  const { stdout, signal } = spawnSync(program, words, {
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe', handedOn],
    ...(process.getuid?.() === 0 ? { uid: mode.caller.uid, gid: mode.caller.gid } : {}),
  })
  return signal ?? stdout.trim()
}

const effective = BigInt(`0x${/^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]}`)
/** Whether this machine's root lacks it. */
export const lacks = (name: CapabilityName) => ((effective >> BigInt(capabilities[name])) & 1n) === 0n

/** One test for each attack, in every mode. */
export async function attacks(title: string, list: readonly Attack[]): Promise<void> {
  if (noAttacks !== false) {
    describe(title, { skip: noAttacks }, () => {})
    return
  }
  for (const mode of modes) {
    const scene = await makeScene(mode, attackProgram())
    describe(`${title}, ${mode.name}`, () => {
      const resolved = list.map((attack) => resolve(attack, scene))
      const walled = run(mode, resolved)
      const weakened = walled.then(() =>
        run(
          mode,
          resolved.map(({ weak }) => weak),
        ),
      )
      resolved.forEach(({ attack, command, words, last, missing, program }, index) => {
        test(attack.tries, { skip: attack.byRoot && notRoot }, async (t: TestContext) => {
          const answer = (await walled)[index]!
          if (missing.length > 0) {
            assert.ok(attack.refused.includes(answer), `${words.join(' ')} was answered ${answer}`)
            return t.skip(`not weakened: this machine's root lacks ${missing.join(', ')}`)
          }
          const complete = attack.guest === true && compiledDirectory !== undefined
          const judgement = judge(
            {
              refused: attack.refused,
              last,
              ...(attack.lacking === undefined || complete ? {} : { lacking: attack.lacking }),
            },
            {
              walled: answer,
              weakened: attack.weak === 'outside' ? outside(mode, program, words) : (await weakened)[index]!,
            },
          )
          if ('wrong' in judgement) assert.fail(`${command} ${words.join(' ')}: ${judgement.wrong}`)
          if ('skip' in judgement) t.skip(judgement.skip)
        })
      })
      test('the scene is as it was', () => scene.close())
    })
  }
}

/** What is run in a scene. */
function resolve(attack: Attack, scene: Scene) {
  const words = typeof attack.words === 'function' ? attack.words(scene) : attack.words
  const shown = attack.runs === undefined ? [] : [{ bind: `/${attack.runs}`, from: join(scene.directory, attack.runs) }]
  const policy = scene.weaken(scene.policy([...shown, ...(attack.shows?.(scene) ?? [])]), attack.base ?? {})
  const command = attack.runs === undefined ? '/attack' : `/${attack.runs}`
  const program = attack.runs === undefined ? attackProgram() : join(scene.directory, attack.runs)
  const last = (attack.weakIn ?? [scene.mode.name]).includes(scene.mode.name)
  const missing = last ? (attack.needs ?? []).filter(lacks) : []
  const { weak } = attack
  assert.ok(weak !== 'outside' || harmless.includes(words[0]!), `${words[0]} may not run outside`)
  const weaker = typeof weak === 'function' ? weak(scene) : weak
  // Without the capability the sandbox could not be made.
  const untried = weaker === 'outside' || missing.length > 0
  const trial = { policy, command, words }
  return {
    ...{ ...trial, attack, program, last, missing },
    weak: untried ? trial : { ...trial, policy: scene.weaken(policy, weaker), words: attack.control ?? words },
  }
}
