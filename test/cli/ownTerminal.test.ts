/** `vial run -t` and `vial exec -t` at a terminal: keys, size and jobs inside; and however it ends, a terminal that is as it was. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { assertInterruptEndsLoop, quoted } from '../support/jobs.js'
import { notInstalled, notRoot } from '../support/needs.js'
import { assertGone, childrenOf, eventually, killAll, processNamed, uniqueSeconds } from '../support/processes.js'
import { keys, Screen } from '../support/tmux.js'
import { callers, ordinary, root, vial as runVial, workDirectory } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const vial = `'${process.execPath}' '${main}'`
const unusable = notInstalled('tmux', 'bash')
const name = 'terminal-test'

const ofVial = (word: string) => processNamed('node', word)
const monitorOf = (word: string) => childrenOf(ofVial(word))[0]!
const kill = (signal: NodeJS.Signals, find: (word: string) => number) => (_: Screen, word: string) =>
  process.kill(find(word), signal)

interface End {
  readonly by: (screen: Screen, word: string) => void
  readonly status: number | string
  readonly flags?: string
  /** The command has modes of its own. */
  readonly raw?: true
  /** What is left of vial gives the terminal back while the shell goes on. */
  readonly late?: true
}
/** What ends a command that sleeps, and its status. */
const ends = {
  '^C': { status: 130, by: (screen) => screen.press(keys.interrupt) },
  '^\\': { status: 131, by: (screen) => screen.press(keys.quit) },
  'its own end': { status: 0, raw: true, by: (screen) => screen.press(keys.newline) },
  'SIGKILL for the command': { status: 137, raw: true, by: kill('SIGKILL', (word) => processNamed('sh', word)) },
  'SIGTERM for vial': { status: 143, raw: true, by: kill('SIGTERM', ofVial) },
  'SIGHUP for vial': { status: 129, raw: true, by: kill('SIGHUP', ofVial) },
  'SIGKILL for vial': { status: 137, raw: true, late: true, by: kill('SIGKILL', ofVial) },
  // Of what enters, another process ends the command; or the terminal does, whose other end is gone.
  'SIGKILL for its monitor': { status: '(137|129)', raw: true, by: kill('SIGKILL', monitorOf) },
  'a timeout': { status: 137, raw: true, flags: '--timeout 1s', by: () => {} },
  'a limit': { status: 137, raw: true, flags: '--wall-time 1s', by: () => {} },
} satisfies Readonly<Record<string, End>>
type What = keyof typeof ends
const all = Object.keys(ends) as What[]

/** Two programs that enter or make a sandbox, and two callers: what they share is tried with one of them. */
const doors: readonly {
  readonly door: 'run' | 'exec'
  readonly by: 'each' | 'root'
  readonly inScript: readonly What[]
  /** Of a shell that controls jobs, and gives its terminal modes itself. */
  readonly inShell?: readonly What[]
}[] = [
  { door: 'run', by: 'each', inScript: all, inShell: ['^C', 'SIGKILL for vial'] },
  {
    ...{ door: 'exec', by: 'each' },
    inScript: ['^C', 'its own end', 'SIGTERM for vial', 'SIGKILL for vial', 'SIGKILL for its monitor'],
  },
  { door: 'run', by: 'root', inScript: ['its own end', 'SIGKILL for vial'] },
  { door: 'exec', by: 'root', inScript: ['its own end', 'SIGKILL for its monitor'] },
]

const [firstCaller = ordinary] = callers
for (const { door, by, inScript, inShell = [] } of doors) {
  const caller = by === 'root' ? root : firstCaller
  const environment = { env: { XDG_RUNTIME_DIR: workDirectory(caller, 'run') } }
  const start = (flags = '') => (door === 'run' ? `${vial} run -t ${flags} --` : `${vial} exec -it ${flags} ${name}`)
  const options = { skip: unusable || (by === 'root' && notRoot), concurrency: 3 }

  describe(`a terminal of vial ${door}, by ${by === 'root' ? 'root' : 'the caller'}`, options, () => {
    const words: string[] = []
    const newWord = () => words[words.push(uniqueSeconds()) - 1]!
    before(() => {
      if (door !== 'exec') return
      const { status, stderr } = runVial(caller, ['start', '--name', name], environment)
      assert.equal(status, 0, stderr)
    })
    after(() => {
      words.forEach(killAll)
      Screen.closeAll()
      if (door === 'exec') runVial(caller, ['rm', '-f', name], environment)
    })

    test('has a name, modes, a size and a kind; its foreground hears of another size', async () => {
      const screen = new Screen(caller)
      const looks = "tty; stty size; echo $TERM; ls -l /proc/self/fd/2 | grep -o '/dev.*'; stty -a | grep -o ' echo '"
      const script = `trap 'stty size; exit 5' WINCH; ${looks}; echo up; while :; do sleep 0.05; done`
      screen.enter(`${start()} sh -c ${quoted(script)}`)
      await screen.shows(/^\/dev\/pts\/\d\n(29|30) 100\n(tmux|screen)\S*\n\/dev\/pts\/\d\n echo\nup$/m)
      screen.resize(120, 40)
      await screen.shows(/^(39|40) 120$/m)
      await screen.prompt(5)
      screen.close()
    })

    for (const place of ['a script', 'a shell'] as const)
      for (const what of place === 'a script' ? inScript : inShell)
        test(`${place} has its terminal as it was after ${what}`, async () => {
          const { status, by, flags, raw, late }: End = ends[what]
          const word = newWord()
          const screen = new Screen(caller)
          const command = `${raw ? 'stty raw -echo; ' : ''}printf 'up\\r\\n'; sleep ${word} & read line; kill $!`
          // What ends the command by ^C ends a script as well.
          const begins = 'trap : INT; stty -g > modes'
          const runs = `${start(flags)} sh -c ${quoted(command)}`
          const waits = late ? 'until stty -g | cmp -s - modes; do :; done; ' : ''
          const tells = `${waits}stty -g | cmp - modes && echo "sa""me"`
          if (place === 'a script') screen.run(begins, runs, 'status=$?', tells, 'exit $status')
          else screen.enter(`${begins}; ${runs}`)
          await screen.shows(/^up$/m)
          by(screen, word)
          await screen.prompt(status)
          if (place === 'a shell') screen.enter(tells)
          await screen.shows(/same$/m)
          await assertGone(word)
          screen.close()
        })
  })
}

describe('a terminal of vial run', { skip: unusable, concurrency: 3 }, () => {
  const caller = firstCaller
  const words: string[] = []
  const newWord = () => words[words.push(uniqueSeconds()) - 1]!
  after(() => {
    words.forEach(killAll)
    Screen.closeAll()
  })

  test('has keys, and a shell in it controls jobs', async () => {
    const screen = new Screen(caller)
    screen.enter(`${vial} run -t --env 'PS1=[$?]' -- bash --norc --noprofile`)
    await screen.shows(/^\[0\]$/m)
    for (const [key, word, status] of [
      [keys.interrupt, 'begin', 130],
      [keys.quit, 'run', 131],
      [keys.suspend, 'spin', 148],
    ] as const) {
      screen.enter(`sh -c 'echo $0ning; exec sleep 600' ${word}`)
      await screen.shows(new RegExp(`^${word}ning$`, 'm'))
      screen.press(key)
      await screen.shows(new RegExp(`\\[${status}\\]\\s*$`))
    }
    screen.enter('fg')
    await screen.shows(/\[148\]fg\nsh -c.*\s*$/)
    screen.press(keys.interrupt)
    await screen.shows(/\[130\]\s*$/)
    screen.enter('exit 37')
    await screen.prompt(37)
    screen.close()
  })

  test('is given back while the job is stopped, and taken again', async () => {
    const word = newWord()
    const screen = new Screen(caller)
    screen.enter('stty -g > modes')
    const script = `stty raw -echo; printf '\\33[?25lup\\r\\n'; read line; stty sane; echo "read $line"; : ${word}`
    screen.enter(`${vial} run -t -- sh -c ${quoted(script)}`)
    await screen.shows(/^up$/m)
    assert.equal(screen.ask('#{cursor_flag}'), '0')
    process.kill(ofVial(word), 'SIGTSTP')
    await screen.prompt(148)
    assert.equal(screen.ask('#{cursor_flag}'), '1')
    screen.enter('stty -g | cmp - modes && echo "sa""me"; fg')
    await screen.shows(/^same$/m)
    await eventually(
      () => screen.ask('#{cursor_flag}'),
      (flag) => flag === '0',
    )
    screen.type('xyz')
    screen.press(keys.newline)
    await screen.shows(/^read xyz$/m)
    await screen.prompt(0)
    assert.equal(screen.ask('#{cursor_flag}'), '1')
    screen.close()
  })

  test('whose ^C ends the command ends a loop of a shell', () =>
    assertInterruptEndsLoop(caller, `${vial} run -t --`, newWord()))

  test('that is closed ends its command', async () => {
    const word = newWord()
    const screen = new Screen(caller)
    screen.enter(`${vial} run -t -- sh -c ${quoted(`trap 'exit 3' HUP; echo up; sleep ${word} & read line`)}`)
    await screen.shows(/^up$/m)
    screen.close()
    await assertGone(word)
  })

  test('is not touched where there is no command', async () => {
    const screen = new Screen(caller)
    screen.enter(`stty -g > modes; echo '{"mounts": 1}' > wrong.json`)
    for (const [flags, status] of [
      ['-- /no/such', 127],
      ['-- /etc/passwd', 126],
      ['--policy wrong.json -- true', 125],
    ] as const) {
      screen.enter(`${vial} run -t ${flags}`)
      await screen.prompt(status)
      screen.enter('stty -g | cmp - modes && clear')
      await screen.shows(/^<0>\s*$/)
    }
    screen.close()
  })

  test('is that of a job: in the background it waits for the foreground', async () => {
    const screen = new Screen(caller)
    screen.enter(`set -b; ${vial} run -t -- sh -c 'echo up; read line; echo "read $line"' &`)
    await screen.shows(/Stopped/)
    screen.enter('clear; fg')
    await screen.shows(/^up$/m)
    screen.enter('xyz')
    await screen.shows(/^read xyz$/m)
    await screen.prompt(0)
    screen.close()
  })
})
