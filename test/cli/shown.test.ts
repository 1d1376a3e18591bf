/** What the commands print for people: help, the plan, the presets. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { commands } from '../../src/cli/commands.js'
import { compile, type Explanation } from '../../src/index.js'
import { stepsOf } from '../../src/plan/plan.js'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user
const top = resolve(fileURLToPath(import.meta.url), '../../../..')
const shown = (...args: string[]) => {
  const { stdout, stderr, status } = vial(caller, args)
  assert.deepEqual([status, stderr], [0, ''])
  return stdout
}

describe('help', () => {
  // What is read by the command itself, as bwrap's options, has its help there.
  for (const { name, options, words } of commands) {
    if (words === 'all') continue
    test(`of ${name} has its flags, examples and statuses`, () => {
      const text = shown(name, '--help')
      for (const option of options) assert.ok(text.includes(`--${option.name}`), option.name)
      assert.match(text, new RegExp(`\\nexamples:\\n  vial ${name}[\\s\\S]*\\nexit status:\\n`))
      assert.equal(shown('help', name), text)
      assert.ok(text.split('\n').every((line) => line.length <= 100))
    })

    test(`of ${name} and its page in docs/cli.md name the same flags`, () => {
      const page = readFileSync(join(top, 'docs/cli.md'), 'utf8')
      for (const option of options)
        assert.ok(page.includes(`--${option.name}`) || option.short !== undefined, option.name)
    })
  }

  test('lists the commands', () => {
    for (const { name, about } of commands) assert.match(shown('--help'), new RegExp(`\\n  ${name} +${about}`))
  })

  test('the version is that of the package', () => {
    const { version } = JSON.parse(readFileSync(join(top, 'package.json'), 'utf8')) as { version: string }
    assert.equal(shown('--version'), `${version}\n`)
  })
})

describe('explain', () => {
  test('numbers the steps of each process, with reasons and system calls', () => {
    const text = shown('explain', '--preset', 'empty', '--hostname', 'elsewhere')
    assert.match(text, /^The monitor stays outside.*\n\n {3}1\. start /)
    assert.match(text, /\n +\d+\. set the host name elsewhere +sethostname\n +the host's own name is not shown\n/)
    assert.match(
      text,
      /\nInit is the first process inside[\s\S]*\n +\d+\. start the payload .*[\s\S]*\nThe payload becomes the command/,
    )
    assert.match(text, /\n +\d+\. run the command +execve/)
    assert.match(
      text,
      /\nThe command gets these variables, and no other:\n\n +PATH=.*\n +TERM, if the caller has it\n$/,
    )
  })

  test('has every step of the plan, in its order, as JSON too', () => {
    const { steps } = JSON.parse(shown('explain', '--preset', 'empty', '--json')) as Explanation
    const order = steps.map(({ process }) => ['monitor', 'init', 'payload'].indexOf(process))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
    const plan = compile({ env: { inherit: ['TERM'] } }).plan
    for (const step of Object.values(stepsOf(plan)).flat())
      assert.ok(
        steps.some(({ what }) => what === step.what),
        step.what,
      )
    assert.ok(steps.every(({ what, why }) => what !== '' && why !== ''))
  })

  test('a policy file and flags together', () => {
    const policy = join(workDirectory(caller, 'explain'), 'policy.json')
    writeFileSync(policy, '{ "hostname": "one" }')
    assert.match(shown('explain', policy), /set the host name one/)
    assert.match(shown('explain', policy, '--hostname=two'), /set the host name two/)
  })
})

test('presets are listed, one is told in full, and as a policy', () => {
  assert.match(shown('presets'), /^system: .*\n {2}read-only [\s\S]*\nempty: /)
  assert.match(shown('presets', 'system'), /\n {2}written anew +\/etc\/group\n/)
  const { system } = JSON.parse(shown('presets', 'system', '--json')) as { system: object }
  assert.ok(compile(system).bytes.length > 0)
})
