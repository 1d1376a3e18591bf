/** What the library throws: a class for each kind, which is known across copies of the library, and the table of them. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import * as vial from '../../src/index.js'
import { makePlan } from '../../src/plan/planPolicy.js'
import { parsePolicy } from '../../src/policy/check.js'
import { exitStatuses, exitStatusOf } from '../../src/text/error.js'
import { evaluate } from '../support/evaluate.js'
import { callers, workDirectory } from '../support/user.js'

const top = resolve(fileURLToPath(import.meta.url), '../../../..')

interface Case {
  readonly kind: string
  readonly stage: vial.Stage
  readonly code?: string
  readonly hasHint: boolean
  readonly policy: unknown
  readonly command?: string
  readonly options?: vial.RunOptions
  readonly env?: Record<string, string>
}

const system = { preset: 'system' }
const cases: readonly Case[] = [
  { kind: 'PolicyError', stage: 'policy', hasHint: false, policy: { colour: 'red' } },
  { kind: 'PolicyError', stage: 'policy', hasHint: false, policy: { fill: { program: '/nowhere/at/all' } } },
  { kind: 'OptionError', stage: 'options', hasHint: false, policy: system, options: { timeout: -1 } },
  { kind: 'OptionError', stage: 'options', hasHint: false, policy: system, options: { timeout: null as never } },
  { kind: 'HostError', stage: 'host', hasHint: true, policy: system, env: { VIAL_CACHE: '/dev/null/x' } },
  {
    kind: 'LimitsError',
    stage: 'limits',
    hasHint: true,
    policy: { preset: 'system', limits: { memory: '64M' } },
    env: { VIAL_CGROUP: '/nonexistent' },
  },
  {
    kind: 'SandboxError',
    stage: 'sandbox',
    code: 'ENOENT',
    hasHint: true,
    policy: { filesystem: [{ bind: '/x', from: '/nonexistent/x' }] },
  },
  { kind: 'CommandError', stage: 'command', code: 'ENOENT', hasHint: true, policy: system, command: 'no-such-program' },
  { kind: 'CommandError', stage: 'command', code: 'EACCES', hasHint: true, policy: system, command: '/etc' },
]

const classes = Object.entries(vial).filter(([name]) => name.endsWith('Error'))

for (const caller of callers) {
  describe(`errors of a run by ${caller.name}`, () => {
    test('are of the class of their kind in each copy of the library', async () => {
      const bundled = join(workDirectory(caller, 'errors'), 'bundled.cjs')
      await build({
        stdin: { contents: "export * from './dist/src/index.js'", resolveDir: top },
        outfile: bundled,
        bundle: true,
        minify: true,
        platform: 'node',
        format: 'cjs',
        logLevel: 'silent',
      })
      const told = await evaluate(
        caller,
        async (library, { cases, names, copies }) => {
          const { createRequire } = await import('node:module')
          const require = createRequire(copies[0]!)
          const libraries = [library, ...copies.map((path) => require(path) as typeof library)]
          const told = []
          for (const { policy, command = 'true', options, env = {} } of cases) {
            Object.assign(process.env, env)
            for (const thrower of libraries) {
              try {
                await thrower.sandbox(policy as never).run(command, [], options)
                told.push('nothing was thrown')
              } catch (error) {
                const { name, stage, code, hint, message, stack } = error as InstanceType<typeof library.SandboxError>
                const kinds = libraries.map((one) =>
                  names.filter((kind) => error instanceof (one[kind as keyof typeof one] as typeof Error)).join(' '),
                )
                const hasHint = hint !== undefined && message.endsWith(hint)
                told.push({ name, stage, code, hasHint, kinds, stack: stack!.startsWith(`${name}: `) })
              }
            }
            for (const key of Object.keys(env)) delete process.env[key]
          }
          return told
        },
        {
          cases: cases.map((one) => ({ ...one })),
          names: classes.map(([name]) => name),
          copies: [join(top, 'dist/cjs/index.js'), bundled],
        },
      )
      const expected = cases.flatMap(({ kind, stage, code, hasHint }) => {
        const inOne = classes.flatMap(([name]) => (name === kind || name === 'VialError' ? [name] : [])).join(' ')
        const one = {
          name: kind,
          stage,
          ...(code === undefined ? {} : { code }),
          hasHint,
          kinds: [inOne, inOne, inOne],
          stack: true,
        }
        return [one, one, one]
      })
      assert.deepEqual(told, expected)
    })
  })
}

test('a command exits by the stage and code of an error', () => {
  for (const { stage, code } of cases)
    assert.equal(exitStatusOf({ stage, code: code! }), stage === 'command' ? (code === 'ENOENT' ? 127 : 126) : 125)
  const { start } = makePlan(parsePolicy({}), { architecture: 'x64', base: '/', kernel: '6.12' })
  assert.deepEqual(start.manner.exit, exitStatuses, 'and a vial by itself as well')
})

test('a class that others derive holds for its own errors only', () => {
  class Mine extends vial.PolicyError {}
  assert.ok(!(new vial.PolicyError([]) instanceof Mine))
  assert.ok(new Mine([]) instanceof vial.PolicyError)
  for (const other of [undefined, null, 1, {}, new Error('x')])
    assert.ok(!((other as object) instanceof vial.VialError))
})

test('docs/library.md has a row for each class', () => {
  const text = readFileSync(join(top, 'docs/library.md'), 'utf8')
  const rows = [...text.matchAll(/^\| `(\w+Error)` \| `(\w+)` \|/gm)].map(([, name, stage]) => `${name} ${stage}`)
  const kinds = classes.flatMap(([name]) => (name === 'VialError' ? [] : [name]))
  assert.deepEqual(rows.map((row) => row.split(' ')[0]).sort(), kinds.sort())
  for (const { kind, stage } of cases) assert.ok(rows.includes(`${kind} ${stage}`), `${kind} ${stage}`)
})
