/** What a payload with a terminal of its own does to that of the caller: nothing; and it holds up no end. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { quoted } from '../support/jobs.js'
import { notInstalled } from '../support/needs.js'
import { assertGone, eventually, killAll, processNamed, uniqueSeconds } from '../support/processes.js'
import { keys, Screen } from '../support/tmux.js'
import { callers, ordinary } from '../support/user.js'

const main = new URL('../../src/cli/main.cjs', import.meta.url).pathname
const vial = `'${process.execPath}' '${main}'`
const [caller = ordinary] = callers
const python = '/usr/bin/python3'

describe('a terminal of the payload', { skip: notInstalled('tmux', 'bash', 'stty'), concurrency: 3 }, () => {
  const words: string[] = []
  const newWord = () => words[words.push(uniqueSeconds()) - 1]!
  after(() => {
    words.forEach(killAll)
    Screen.closeAll()
  })

  const modesOf = (screen: Screen) =>
    spawnSync('stty', ['-g', '-F', screen.ask('#{pane_tty}')], { encoding: 'utf8' }).stdout
  const isGivenBack = (screen: Screen) =>
    eventually(
      () => modesOf(screen),
      (modes) => modes === readFileSync(join(screen.directory, 'modes'), 'utf8'),
    )
  const isThere = (path: string) => eventually(() => existsSync(path), Boolean)
  /** Writes until nothing has been taken for some time: then it, vial's own memory and the pipe behind that are full. */
  const filling = `import os, signal, time
os.set_blocking(1, False)
refused = 0
while refused < 20:
  try:
    os.write(1, bytes(4096))
    refused = 0
  except BlockingIOError:
    refused += 1
    time.sleep(0.01)
open('full', 'w')
signal.pause()`
  const unread = async () => {
    const [word, reader] = [newWord(), newWord()]
    const screen = new Screen(caller)
    const runs = `${vial} run -t --rw . -- ${python} -c ${quoted(filling)} ${word}`
    screen.run('stty -g > modes', `${runs} | sleep ${reader}`, 'echo "over"')
    await isThere(join(screen.directory, 'full'))
    return { screen, word, reader }
  }

  test('that is full, and whose output is not read, does not keep vial from its end', {
    skip: notInstalled(python),
  }, async () => {
    const { screen, word, reader } = await unread()
    process.kill(processNamed('node', word), 'SIGTERM')
    await assertGone(word)
    await isGivenBack(screen)
    process.kill(processNamed('sleep', reader))
    await screen.shows(/^over$/m)
    screen.close()
  })

  test('that is full, and whose output is not read, leaves the caller a ^C', {
    skip: notInstalled(python),
  }, async () => {
    const { screen, word } = await unread()
    screen.press(keys.interrupt)
    await isGivenBack(screen)
    // From here on it is for the whole job: also for what does not read.
    screen.press(keys.interrupt)
    await assertGone(word)
    await screen.prompt(130)
    screen.close()
  })

  test('that it never reads takes what is typed, and vial ends', async () => {
    const word = newWord()
    const screen = new Screen(caller)
    const runs = `${vial} run -t -- sh -c 'stty -echo; echo up; exec sleep ${word}'`
    screen.run('stty -g > modes', runs, 'stty -g > after')
    await screen.shows(/^up$/m)
    // The shell reads what is left.
    screen.paste(`# ${'x'.repeat(500)}\n`.repeat(200))
    process.kill(processNamed('node', word), 'SIGTERM')
    await assertGone(word)
    const [modes, later] = ['modes', 'after'].map((name) => join(screen.directory, name))
    const read = () => (existsSync(later!) ? readFileSync(later!, 'utf8') : '')
    assert.equal(await eventually(read, (text) => text.endsWith('\n')), readFileSync(modes!, 'utf8'))
    screen.close()
  })

  const changes = `printf '\\33[?1049h\\33[?25l\\33[?1000;1006h\\33[?1h\\33=\\33[2;5r\\33[31m'; stty rows 5 cols 7 raw`
  const left =
    '#{alternate_on} #{cursor_flag} #{keypad_flag} #{keypad_cursor_flag} #{mouse_any_flag} #{scroll_region_upper}'
  for (const [end, dies, status] of [
    ['that dies', 'echo > up; kill -9 $$', 137],
    ['that stays, and vial is killed', 'echo > up; sleep 600', 137],
  ] as const)
    test(`changes by one ${end} are undone`, async () => {
      const word = newWord()
      const screen = new Screen(caller)
      screen.enter('stty -g > modes; stty size > size')
      screen.enter(`${vial} run -t --rw . -- sh -c ${quoted(`${changes}; ${dies}; : ${word}`)}`)
      await isThere(join(screen.directory, 'up'))
      if (end !== 'that dies') {
        process.kill(processNamed('node', word), 'SIGKILL')
      }
      // A prompt that comes before the other screen is left is lost with that.
      await eventually(
        () => screen.ask(left),
        (seen) => seen === '0 1 0 0 0 0',
      )
      screen.press(keys.enter)
      await screen.prompt(status)
      screen.enter('stty size | cmp - size && stty -g | cmp - modes && echo "sa""me"')
      await screen.shows(/^same$/m)
      // Of a command with the caller's own terminal they are not: it is the terminal that walls off.
      if (end === 'that dies') {
        screen.enter(`${vial} run --rw . -- sh -c ${quoted(`${changes}; ${dies}`)}`)
        await eventually(
          () => screen.ask(`${left} #{pane_current_command}`),
          (seen) => seen === '1 0 1 1 1 1 bash',
        )
        assert.equal(spawnSync('stty', ['size', '-F', screen.ask('#{pane_tty}')], { encoding: 'utf8' }).stdout, '5 7\n')
      }
      screen.close()
    })

  test('gets what it types, and the caller’s does not', { skip: notInstalled(python) }, async () => {
    const script = `import fcntl, os, termios
print({os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)})
try:
  for one in b'echo typed\\r': fcntl.ioctl(open('/dev/tty'), termios.TIOCSTI, bytes([one]))
  print('typed')
except OSError as error: print(error.strerror)`
    for (const [flags, answer] of [
      ['', 'Operation not permitted'],
      // The kernel itself may refuse it: sysctl dev.tty.legacy_tiocsti.
      ['--seccomp none', '(typed|Input/output error)'],
    ] as const) {
      const screen = new Screen(caller)
      screen.enter(`${vial} run -t ${flags} -- ${python} -c ${quoted(script)}`)
      const seen = await screen.prompt(0)
      assert.match(seen, new RegExp(`^\\{'/dev/pts/0'\\}\n[\\s\\S]*^${answer}$`, 'm'))
      screen.enter('echo "on""ly"')
      await screen.shows(/^<0>echo "on""ly"\nonly\n<0>\s*$/m)
      screen.close()
    }
  })

  test('asks the terminal, and is told', async () => {
    const screen = new Screen(caller)
    const script = `stty -icanon -echo; printf '\\33[6n'; head -c 4 | od -An -c`
    screen.enter(`clear; ${vial} run -t -- sh -c ${quoted(script)}`)
    await screen.shows(/^ *033 {3}\[ {3}\d {3};$/m)
    screen.press(keys.enter)
    screen.close()
  })
})
