/** Programs that use all of a terminal, in one of the sandbox's own: they are driven and read as by a user. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { installed, notInstalled } from '../support/needs.js'
import { eventually, killAll, processNamed, uniqueSeconds } from '../support/processes.js'
import { keys, Screen } from '../support/tmux.js'
import { callers, ordinary } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const vial = `'${process.execPath}' '${main}'`
const [caller = ordinary] = callers
const vim = ['vim.tiny', 'vim'].find(installed) ?? 'vim'
/** Debian's; a version manager's lies in a home directory, which no sandbox shows. */
const python = '/usr/bin/python3'

/** What a program may leave to the terminal that shows it, as tmux(1) has it: of a shell at its prompt, all is 0 but the cursor. */
const left = '#{alternate_on} #{cursor_flag} #{keypad_flag} #{keypad_cursor_flag} #{mouse_any_flag}'
const nothing = '0 1 0 0 0'

describe('in a terminal of its own', { skip: notInstalled('tmux', 'bash'), concurrency: 3 }, () => {
  const words: string[] = []
  after(() => {
    words.forEach(killAll)
    Screen.closeAll()
  })
  /** A screen in which the words run; the directory is that of the screen, writable. */
  const begin = (...words: readonly string[]) => {
    const screen = new Screen(caller)
    writeFileSync(join(screen.directory, 'lines'), Array.from({ length: 200 }, (_, n) => `line ${n + 1}\n`).join(''))
    screen.enter(`${vial} run -t --rw . --env 'PS1=[$?]' -- ${words.join(' ')}`)
    return screen
  }
  const ended = async (screen: Screen, status: number | string) => {
    await screen.prompt(status)
    await eventually(
      () => screen.ask(left),
      (seen) => seen === nothing,
    )
    screen.close()
  }

  test('bash edits lines, remembers them, and has jobs', async () => {
    const screen = begin('bash', '--norc', '--noprofile')
    await screen.shows(/\[0\]\s*$/)
    screen.type('echo wold')
    screen.press('Left', 'Left')
    screen.enter('r')
    await screen.shows(/^world\n\[0\]\s*$/m)
    screen.press('Up', 'C-a', 'M-d')
    screen.enter('printf "%s.\\n"')
    await screen.shows(/^world\.\n\[0\]\s*$/m)
    screen.enter("sleep 600 & sh -c 'echo up; exec sleep 601' | cat")
    await screen.shows(/^up$/m)
    screen.press(keys.suspend)
    await screen.shows(/\[148\]\s*$/)
    screen.enter('jobs')
    await screen.shows(/^\[1\]- +Running .*\n\[2\]\+ +Stopped .*\n\[0\]\s*$/m)
    screen.enter('kill %1; bg')
    await screen.shows(/^\[2\]\+ sh .* \| cat &$/m)
    screen.enter('wait %1; fg')
    await screen.shows(/^sh -c .* \| cat\s*$(?![\s\S]*\S)/m)
    screen.press(keys.interrupt)
    await screen.shows(/\[130\]\s*$/)
    screen.press(keys.end)
    await ended(screen, 130)
  })

  test('python3 edits lines, is interrupted, and ends', { skip: notInstalled(python) }, async () => {
    const screen = begin(python, '-q')
    await screen.shows(/>>>\s*$/)
    screen.enter('import os, time; os.get_terminal_size()')
    await screen.shows(/columns=100, lines=\d+\)\n>>>\s*$/)
    screen.press('Up', 'C-a')
    screen.enter('print("up"); time.sleep(600); ')
    await screen.shows(/^up$/m)
    screen.press(keys.interrupt)
    await screen.shows(/^KeyboardInterrupt\n>>>\s*$/m)
    screen.enter('print("on")')
    await screen.shows(/^on\n>>>\s*$/m)
    screen.press(keys.end)
    await ended(screen, 0)
  })

  test('less turns pages, and follows another size', { skip: notInstalled('less') }, async () => {
    const screen = begin('less', 'lines')
    await screen.shows(/^line 1\n[\s\S]*^lines\s*$/m)
    assert.match(screen.ask(left), /^1 1 1/)
    screen.press('Space')
    const second = await screen.shows(/^line 30$/m)
    assert.doesNotMatch(second, /^line 1$/m)
    screen.resize(100, 50)
    await screen.shows(/^line 75$/m)
    screen.enter('/line 150')
    await screen.shows(/^line 150\n/)
    screen.press('q')
    await ended(screen, 0)
  })

  test('vim writes a file', { skip: notInstalled(vim) }, async () => {
    const screen = begin(vim, '-u', 'NONE', '-N', 'made')
    await screen.shows(/^~\n~\n/m)
    screen.type('ihello wold')
    await screen.shows(/^hello wold$/m)
    screen.press('Escape', 'h')
    screen.type('ir')
    await screen.shows(/^hello world$/m)
    screen.press('Escape')
    screen.enter(':wq')
    await screen.prompt(0)
    screen.enter('cat made')
    await screen.shows(/^hello world\n<0>\s*$/m)
    await ended(screen, 0)
  })

  test('vim that is killed leaves neither its screen nor the mouse', { skip: notInstalled(vim) }, async () => {
    const word = uniqueSeconds()
    words.push(word)
    const screen = begin(vim, '-u', 'NONE', '-N', '-c', "'set mouse=a'", word)
    await screen.shows(/^~\n~\n/m)
    await eventually(
      () => screen.ask(left),
      (seen) => seen !== nothing,
    )
    assert.match(screen.ask(left), /^1 /)
    process.kill(processNamed(vim, word), 'SIGKILL')
    await ended(screen, 137)
  })

  test('htop shows processes, and takes keys', { skip: notInstalled('htop') }, async () => {
    const screen = begin('htop')
    await screen.shows(/PID.*USER[\s\S]*htop/)
    assert.match(screen.ask(left), /^1 .* 1$/)
    screen.press('F5')
    await screen.shows(/F5(List|Sorted)/)
    screen.press('q')
    await ended(screen, 0)
  })

  test('tmux in it has windows, and a size that follows', async () => {
    const screen = begin('tmux', '-f', '/dev/null', 'new-session', "'bash --norc --noprofile'")
    await screen.shows(/^\[0\]\n[\s\S]*^\[0\] 0:bash\*/m)
    screen.press('C-b', 'c')
    await screen.shows(/^\[0\] 0:bash- 1:\w+\*/m)
    screen.enter('exec bash --norc --noprofile')
    screen.enter('stty size')
    await screen.shows(/^(28|29) 100$/m)
    screen.resize(90, 20)
    screen.enter('clear; stty size')
    await screen.shows(/^(18|19) 90$/m)
    screen.press('C-b', '%')
    await screen.shows(/│/)
    screen.press('C-b', '&')
    await screen.shows(/\(y\/n\)/)
    screen.press('y')
    await screen.shows(/^\[0\] 0:bash\*/m)
    screen.press('C-b', 'd')
    await screen.shows(/^\[detached/m)
    await ended(screen, 0)
  })
})
