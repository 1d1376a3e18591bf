/**
 * Names that are none, at every door: a path to a forged record beside the directory of the records, what a terminal obeys, what a command
 * line takes for a flag. Each is refused in words that name it, and nothing is looked for.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { evaluate } from '../support/evaluate.js'
import { as } from '../support/living.js'
import { callers, vial, workDirectory } from '../support/user.js'

const main = fileURLToPath(new URL('../../src/cli/main.cjs', import.meta.url))

type Words = (name: string) => readonly string[]

const doors: Readonly<Record<string, Words>> = {
  start: (name) => ['start', `--name=${name}`],
  exec: (name) => ['exec', '--', name, 'true'],
  ...Object.fromEntries(
    ['inspect', 'logs', 'stop', 'kill', 'rm', 'rm -f', 'wait'].map((command): [string, Words] => [
      command,
      (name) => [...command.split(' '), '--', name],
    ]),
  ),
  mount: (name) => ['mount', '--', name, '/usr', '/tmp/mounted'],
  umount: (name) => ['umount', '--', name, '/tmp/mounted'],
  'cp into': (name) => ['cp', '--', '/etc/passwd', `${name}:/tmp/copied`],
  'cp out of': (name) => ['cp', '--', `${name}:/etc/passwd`, 'copied'],
}

/** With what is said of each. */
const names: Readonly<Record<string, string>> = {
  '../forged': '../forged',
  './web': './web',
  '..': '..',
  '': '',
  '-f': '-f',
  '\x1b[2J': '?[2J',
  'a\nb': 'a?b',
  ä: 'ä',
  ['a'.repeat(5000)]: `${'a'.repeat(64)}…`,
}

const clear = (shown: string) =>
  `"${shown}" cannot be the name of a sandbox\n      a name has 1 to 64 letters, digits, ".", "_" or "-", and begins with a letter, a digit or "_"`

/** What a command says of it; where that is not that it cannot be a name. */
function saidOf(door: string, name: string, words: readonly string[]): string {
  const [neither, usage] = [
    'is of a sandbox',
    'vial cp NAME:INSIDE PATH, or vial cp PATH NAME:INSIDE; PATH may be - for a tar archive',
  ]
  if (door.startsWith('cp') && name.includes('/'))
    return `neither "${words.at(-2)}" nor "${words.at(-1)}" ${neither}: ${usage}`
  // As of each flag.
  if (door === 'start' && name === '') return '--name has an empty value: --name NAME\n      see "vial start --help"'
  return clear(names[name]!)
}

/** Of the library, which has no words: some that no command line can hold, and some that are no text. */
const ofLibrary: readonly (readonly [unknown, string])[] = [
  ...Object.entries(names).map(([name, shown]) => [name, clear(shown)] as const),
  ['web\0', clear('web?')],
  ['\0', clear('?')],
  ...[5, null, {}, ['web']].map((name) => [name, 'the name of a sandbox must be text'] as const),
]

/** Of each door; a start is told all. */
const each = ['../forged', '', '-f', '\x1b[2J']

// Where it is root, no permission stands in the way of what is not refused.
const caller = callers.at(-1)!

describe(`a name that is none, of ${caller.name}`, () => {
  const runtime = workDirectory(caller, 'names')
  const cwd = workDirectory(caller, 'names-cwd')
  const env = { XDG_RUNTIME_DIR: runtime }
  const call = (...words: readonly string[]) => {
    const { status, stdout, stderr } = vial(caller, words, { env, cwd })
    return [status, stdout, stderr]
  }
  const tree = () => [runtime, cwd].map((path) => readdirSync(path, { recursive: true }).sort())
  let whole: unknown

  before(() => {
    assert.match(String(call('start', '--name', 'web')), /^0,,web runs/)
    // What a name with a slash leads to is as good as a sandbox, but for where it lies.
    cpSync(join(runtime, 'vial/web'), join(runtime, 'forged'), { recursive: true })
    whole = tree()
  })

  after(() => {
    assert.deepEqual(tree(), whole)
    assert.equal(call('rm', '-f', 'web')[0], 0)
    rmSync(join(runtime, 'forged'), { recursive: true })
  })

  for (const [door, words] of Object.entries(doors))
    test(`is refused in one clear line: vial ${door}`, () => {
      for (const name of door === 'start' ? Object.keys(names) : each) {
        const line = words(name)
        assert.deepEqual(call(...line), [125, '', `vial: ${saidOf(door, name, line)}\n`], JSON.stringify(name))
      }
      assert.deepEqual(tree(), whole)
    })

  test('is refused by the library', async () => {
    const seen = await evaluate(
      caller,
      async ({ sandbox, Sandbox }, names) => {
        const said: unknown[] = []
        for (const name of names)
          for (const enter of [Sandbox.attach, (one: string) => sandbox({}).open({ name: one })])
            await enter(name as string).then(
              () => said.push('it was opened'),
              (error) => said.push(`${error.name}: ${error.message}`),
            )
        await sandbox({})
          .open({ nam: 'web' } as never)
          .catch((error) => said.push(`${error.name}: ${error.message}`))
        return said
      },
      ofLibrary.map(([name]) => name),
      { env, cwd },
    )
    assert.deepEqual(seen, [
      ...ofLibrary.flatMap(([, said]) => [`OptionError: ${said}`, `OptionError: ${said}`]),
      'OptionError: nam: is not a known option (did you mean name?)',
    ])
    assert.deepEqual(tree(), whole)
  })

  test('is refused where it is no text to JavaScript', () => {
    // No JavaScript has such a word.
    const script = 'exec "$1" "$2" exec "$(printf "\\377\\376")" true'
    const { status, stderr } = spawnSync('sh', ['-c', script, 'sh', process.execPath, main], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: workDirectory(caller, 'home'), ...env },
      ...as(caller),
    })
    assert.deepEqual([status, stderr], [125, `vial: ${clear('\ufffd\ufffd')}\n`])
  })

  test('weakened: where the records lie, the forged one is entered by its name', () => {
    const away = join(runtime, 'away')
    renameSync(join(runtime, 'vial'), away)
    mkdirSync(join(runtime, 'vial'), { mode: 0o700 })
    try {
      cpSync(join(runtime, 'forged'), join(runtime, 'vial/web'), { recursive: true })
      assert.deepEqual(call('exec', 'web', 'echo', 'inside'), [0, 'inside\n', ''])
    } finally {
      rmSync(join(runtime, 'vial'), { recursive: true })
      renameSync(away, join(runtime, 'vial'))
    }
  })
})
