/** `vial completion`: bash, zsh and fish themselves complete lines, each by the script that is printed for it. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { commands } from '../../src/cli/commands.js'
import { writers } from '../../src/cli/completionCommand.js'
import { type CommandRow, completedOf } from '../../src/cli/completionTable.js'
import { top } from '../support/declarations.js'
import { type Completing, runShell, type ShellName, shells } from '../support/completing.js'
import { notInstalled } from '../support/needs.js'
import { Terminal } from '../support/terminal.js'
import { user, vial, workDirectory } from '../support/user.js'

const caller = user
const cwd = workDirectory(caller, 'completion')
const programs = workDirectory(caller, 'programs')
const calls = join(cwd, '.calls')
const traces = join(cwd, 'TRACE')
after(() => Terminal.closeAll())

const quotes = `it's "one"`
const substitution = 'do$(touch TRACE)`touch TRACE`llar'
for (const name of ['my file', 'strict.json', quotes, substitution]) writeFileSync(join(cwd, name), '')
mkdirSync(join(cwd, 'part'))
const program = (name: string, text: string) => {
  writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`)
  chmodSync(join(programs, name), 0o755)
}
program('own-program', '')
program('own program', '')
program('vial', `echo "$*" >> ${calls}\n[ "$*" = 'completion names' ] && printf 'web\\ndb-1\\n'`)

/** A command with what no row says yet, beside those that there are. */
const more: readonly CommandRow[] = [
  {
    name: 'signal',
    about: `It's: [a \\ sentence] $(touch TRACE) \`touch TRACE\``,
    words: 1,
    offers: [{ from: 'sandbox' }],
    options: [
      { name: 'signal', short: 's', value: 'SIGNAL', offers: { words: ['TERM', 'TSTP', 'RTMIN+1'] }, about: 'which' },
      { name: 'odd', value: `A[:B]'\\$(touch TRACE)`, about: `it's: [a \\ sentence] $(touch TRACE) \`touch TRACE\`` },
    ],
  },
]
const rows: readonly CommandRow[] = [...commands, ...more]
const completed = completedOf(rows)

function where(shell: ShellName): Completing {
  const script = join(workDirectory(caller, 'scripts'), `vial.${shell}`)
  writeFileSync(script, writers[shell]!(completed))
  return { script, cwd, programs, caller }
}

/** A line, and all that is offered. */
const offered: Readonly<Record<string, readonly string[]>> = {
  'vial ex': ['exec', 'explain'],
  'vial --v': ['--version'],
  'vial help pre': ['presets'],
  'vial run --ne': ['--network', '--network-log'],
  'vial run --network ': ['host', 'none', 'private'],
  'vial run --network=h': ['host'],
  'vial compile --arch ': ['arm64', 'x64'],
  'vial run --preset ': ['empty', 'system'],
  'vial run --seccomp str': ['strict', 'strict.json'],
  'vial run --report t': ['table'],
  'vial run --ro do': [substitution],
  'vial run --ro it': [quotes],
  'vial run --ro . --rw my': ['my file'],
  'vial run --ro=my': ['my file'],
  'vial run --policy stri': ['strict.json'],
  'vial compile stri': ['strict.json'],
  'vial compile strict.json -o my': ['my file'],
  'vial compile strict.json --ar': ['--arch'],
  'vial run --env VIAL_TEST_V': ['VIAL_TEST_VARIABLE'],
  'vial run --memory ': [],
  'vial run --hostname own': [],
  'vial run own-': ['own-program'],
  'vial run -- own-': ['own-program'],
  'vial run --ro . --root own-': ['own-program'],
  'vial run --network host cat my': ['my file'],
  'vial run cat --netw': [],
  'vial run -- cat --netw': [],
  'vial explain stri': ['strict.json'],
  'vial explain -- own-': ['own-program'],
  'vial explain strict.json -- own-': ['own-program'],
  'vial explain strict.json -- cat my': ['my file'],
  'vial explain strict.json --sec': ['--seccomp', '--secret', '--security'],
  'vial cache ': ['clear', 'list'],
  'vial completion ': ['bash', 'fish', 'zsh'],
  'vial doctor --': ['--help', '--json'],
  'vial signal -s T': ['TERM', 'TSTP'],
  'vial signal --signal=R': ['RTMIN+1'],
  'vial kill -s TE': ['TERM'],
  'vial kill web --si': ['--signal'],
  'vial logs web w': [],
  'vial start --name box own-': [],
  'vial start --name box -- own-': ['own-program'],
  'vial exec --env VIAL_TEST_V': ['VIAL_TEST_VARIABLE'],
  'vial mount web my': ['my file'],
  'vial mount web strict.json my': [],
  'vial mount web strict.json /srv --r': ['--rw'],
  'vial umount web my': [],
  'vial cp my': ['my file'],
  'vial signal --od': ['--odd'],
  'vial signal --odd ': [],
}
/** These are asked of vial. */
const named: typeof offered = {
  'vial stop ': ['db-1', 'web'],
  'vial stop web d': ['db-1'],
  'vial kill web web d': ['db-1'],
  'vial logs w': ['web'],
  'vial signal -s TERM w': ['web'],
  'vial exec w': ['web'],
  'vial mount --rw w': ['web'],
  'vial network w': ['web'],
  'vial umount d': ['db-1'],
}

for (const shell of Object.keys(shells) as ShellName[]) {
  const skip = notInstalled(shell, 'script')
  describe(shell, { skip }, () => {
    const offers = (line: string) => shells[shell](line, where(shell))

    for (const [line, words] of Object.entries(offered))
      test(line, async () => {
        rmSync(calls, { force: true })
        assert.deepEqual(await offers(line), [...words].sort())
        assert.ok(!existsSync(calls), 'the script knows it: vial was not started')
        assert.ok(!existsSync(traces), 'nothing of it is executed')
      })

    for (const [line, words] of Object.entries(named))
      test(line, async () => {
        rmSync(calls, { force: true })
        assert.deepEqual(await offers(line), words)
        assert.deepEqual(new Set(readFileSync(calls, 'utf8').trim().split('\n')), new Set(['completion names']))
      })

    test('a command that a sandbox runs', async () => {
      assert.deepEqual(await offers('vial exec web own-'), ['own-program'])
      assert.deepEqual(await offers('vial exec web cat my'), ['my file'])
    })

    test('a program whose name has a blank stays a word', async () => {
      assert.ok((await offers('vial run --fill own')).includes('own program'))
    })

    test('behind the colon of PATH[:INSIDE] is a path again', async () => {
      const [one, ...others] = await offers('vial run --ro part:my')
      assert.deepEqual([one?.replace('part:', ''), others], ['my file', []])
    })

    for (const { name, flags } of completed.filter((one) => one.flags.length > 0))
      test(`each flag of vial ${name}`, async () => {
        const there = await offers(`vial ${name} --`)
        const long = flags.map(({ spellings }) => spellings[0]!)
        assert.deepEqual(there, long.sort())
      })

    test('what is typed is not executed', async () => {
      // The bash below is not asked to execute the line.
      const lines = shell === 'bash' ? [] : Object.keys({ ...offered, ...named }).filter((one) => one.endsWith(' '))
      for (const line of lines) await offers(`${line}$(touch TRACE)`)
      for (const word of shell === 'bash' ? [] : ['`touch TRACE`', "'$(touch TRACE)", '"$(touch TRACE)'])
        await offers(`vial run --ro ${word}`)
      await offers(shell === 'bash' ? 'vial run \\$\\(touch\\ TRACE\\) my' : 'vial run $(touch TRACE) my')
      assert.ok(!existsSync(traces))
    })
  })
}

describe('bash, by its variables', { skip: notInstalled('bash') }, () => {
  /** Calls the function as readline does, with words as it breaks them. */
  function reply(line: string, words: readonly string[], before = ''): readonly string[] {
    const { stdout, stderr } = runShell(where('bash'), 'bash', [
      ...['--norc', '-uc'],
      `source "$1"; ${before}
COMP_LINE=$2 COMP_POINT=\${#2}; shift 2; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); compopt() { echo "compopt $*"; }
_vial; printf '%s\\n' \${COMPREPLY[@]+"\${COMPREPLY[@]}"}`,
      ...['bash', where('bash').script, line, ...words],
    ])
    assert.equal(stderr, '')
    return stdout.trim().split('\n')
  }

  test('nothing that is typed is executed, whatever is asked for', () => {
    for (const before of ['run --ro', 'run --seccomp', 'run --env', 'run --fill', 'run', 'cache', 'stop', 'explain'])
      for (const word of ['$(touch TRACE)', '`touch TRACE`', '"$(touch TRACE)', 'a[$(touch TRACE)]']) {
        reply(`vial ${before} ${word}`, ['vial', ...before.split(' '), word])
        reply(`vial ${before} ${word} `, ['vial', ...before.split(' '), word, ''])
        reply(`vial ${word} `, ['vial', word, ''])
      }
    assert.ok(!existsSync(traces))
  })

  test('a word is one where readline broke it, and two where blanks are between', () => {
    assert.deepEqual(reply('vial run --network=h', ['vial', 'run', '--network', '=', 'h']), ['host'])
    assert.deepEqual(reply('vial run --network=', ['vial', 'run', '--network', '=']), ['none', 'private', 'host'])
    assert.deepEqual(reply('vial run --env A=b --hostn', ['vial', 'run', '--env', 'A', '=', 'b', '--hostn']), [
      '--hostname',
    ])
    // A value that ends there; "b" is the command.
    assert.deepEqual(reply('vial run --env A= b my', ['vial', 'run', '--env', 'A', '=', 'b', 'my']), [
      'compopt -o default',
    ])
  })

  test('where it is not broken, the flag is kept', () => {
    assert.deepEqual(reply('vial run --network=h', ['vial', 'run', '--network=h']), ['--network=host'])
  })

  test('bash-completion, where it is, completes the command line inside', () => {
    const package_ = '_command_offset() { COMPREPLY=("from $1"); };'
    assert.deepEqual(reply('vial run --env A=b -- git a', 'vial run --env A = b -- git a'.split(' '), package_), [
      'from 7',
    ])
    assert.deepEqual(reply('vial run gi', ['vial', 'run', 'gi'], package_), ['from 2'])
  })
})

test('fish shows what a flag is for', { skip: notInstalled('fish') }, () => {
  const { stdout } = runShell(where('fish'), 'fish', [
    ...[
      '--no-config',
      '-c',
      'source $argv[1]; complete --do-complete=$argv[2]',
      where('fish').script,
      'vial signal --',
    ],
  ])
  const { flags } = completed.find(({ name }) => name === 'signal')!
  assert.deepEqual(
    stdout.trim().split('\n').sort(),
    flags.map(({ spellings, about }) => `${spellings[0]}\t${about}`).sort(),
  )
})

test('shellcheck(1) has nothing to say of the script for bash', { skip: notInstalled('shellcheck') }, () => {
  const { stdout, status } = spawnSync('shellcheck', ['--shell=bash', where('bash').script], { encoding: 'utf8' })
  assert.equal(status, 0, stdout)
})

describe('the line of docs/cli.md installs it', () => {
  const text = readFileSync(join(top, 'docs/cli.md'), 'utf8')
  const lines = new Map(
    [...text.matchAll(/^\| (\w+) \| `([^`]+completion[^`]+)`/gm)].map((found) => [found[1], found[2]!]),
  )
  const HOME = workDirectory(caller, 'installed')
  const commands = workDirectory(caller, 'commands')
  writeFileSync(join(commands, 'vial'), `#!/bin/sh\nexec ${process.execPath} ${top}/dist/src/cli/main.cjs "$@"\n`)
  chmodSync(join(commands, 'vial'), 0o755)
  /** Prints something about `vial` in a new shell that reads its files. */
  const asked = {
    bash: ['bash', '-ic', 'complete -p vial'],
    zsh: ['zsh', '-ic', 'print -r -- $_comps[vial]'],
    fish: ['fish', '-c', "complete --do-complete='vial comp'"],
  } as const satisfies Readonly<Record<ShellName, readonly string[]>>
  const answers = { bash: /-F _vial vial/, zsh: /^_vial$/m, fish: /^compile\t/m } as const

  for (const shell of Object.keys(shells) as ShellName[])
    test(shell, { skip: notInstalled(shell) }, () => {
      const there = { ...where(shell), programs: commands }
      // What a user of zsh has there.
      const before = shell === 'zsh' ? "echo 'autoload -Uz compinit; compinit -D -u' > ~/.zshrc; " : ''
      const { status, stderr } = runShell(there, 'sh', ['-c', before + lines.get(shell)!], { HOME })
      assert.equal(status, 0, stderr)
      const [command, ...args] = asked[shell]
      assert.match(runShell(there, command, args, { HOME }).stdout, answers[shell])
    })
})

describe('the rows', () => {
  const options = rows.flatMap((row) => row.options)

  test('say by a field what their values are, not by the word of the help', () => {
    for (const { name, value, offers } of options)
      if (/FILE|PATH|PROGRAM|\|/.test(value ?? '')) assert.ok(offers !== undefined, `--${name} ${value}`)
  })

  test('have words that a script can have as they are', () => {
    const offers = [...options.map((one) => one.offers), ...rows.flatMap((row) => row.offers ?? [])]
    for (const word of offers.flatMap((one) => one?.words ?? [])) assert.match(word, /^[\w+-]+$/)
    for (const word of rows.flatMap(({ name, options }) => [name, ...options.map((one) => one.name)]))
      assert.match(word, /^[\w-]+$/)
  })
})

describe('vial completion', () => {
  test('prints the script of the commands that there are', () => {
    for (const shell of Object.keys(shells)) {
      const { status, stdout } = vial(caller, ['completion', shell])
      assert.deepEqual([status, stdout], [0, writers[shell]!(completedOf(commands))])
    }
  })

  test('names the shells that it has', () => {
    for (const words of [['tcsh'], ['toString'], []]) {
      const { status, stderr } = vial(caller, ['completion', ...words])
      assert.equal(status, 125)
      assert.match(stderr, /^vial: completion: .*bash.*zsh.*fish/)
    }
  })

  test('names: those of the sandboxes, and nothing that is none', () => {
    const runtime = workDirectory(caller, 'runtime')
    const env = { XDG_RUNTIME_DIR: runtime }
    const names = () => vial(caller, ['completion', 'names'], { env })
    assert.deepEqual([names().status, names().stdout, existsSync(join(runtime, 'vial'))], [0, '', false])
    const home = workDirectory(caller, 'runtime/vial')
    chmodSync(runtime, 0o700)
    chmodSync(home, 0o700)
    for (const name of ['web', 'db-1', '.reserved', 'no name', '-flag', '$(touch TRACE)', 'two\nlines'])
      mkdirSync(join(home, name))
    assert.deepEqual([names().status, names().stdout], [0, 'db-1\nweb\n'])
  })
})
