/** What a command has changed of the terminal that shows it is undone, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compile } from '../../src/compile/compile.js'
import { LauncherContext } from '../../src/launcher/launcherContext.js'
import { lookForScreen, noteShown, redoShown, undoShown } from '../../src/launcher/shownModes.js'
import { Machine } from '../machine/interpreter.js'

const plan = compile({}, {}).plan

/** What is sent at the end of these pieces: to undo, and to redo. */
function sent(pieces: readonly string[], terminal = true): readonly string[] {
  const c = new LauncherContext(plan, 'x64')
  const { b } = c
  const output = b.variable()
  b.entry(c.stack)
  lookForScreen(c)
  for (const piece of pieces) {
    const bytes = Buffer.from(piece)
    noteShown(c, { at: b.bytes(bytes), left: bytes.length })
  }
  b.move(output, 1)
  undoShown(c, output)
  // Once is enough.
  undoShown(c, output)
  b.move(output, 2)
  redoShown(c, output)
  redoShown(c, output)
  b.syscall(c.stack, 'exit_group', 0)
  const said = ['', '']
  Machine.of(b.finish(), new Uint8Array(8)).run(({ name, args }, machine) => {
    if (name === 'exit_group') return 'ended'
    if (name === 'ioctl') return terminal ? 0n : -25n
    assert.equal(name, 'write')
    said[Number(args[0]!) - 1] += Buffer.from(machine.bytes(args[1]!, Number(args[2]!), false)).toString()
    return args[2]!
  })
  return said.map((text) => text.replaceAll('\x1b', '^'))
}

const cases: readonly (readonly [what: string, shown: string, undo: string, redo: string])[] = [
  ['plain text', 'text [?1049h ^ \u00e9\r\n', '', ''],
  ['another screen', '^[?1049htext', '^[?1049l', '^[?1049h'],
  ['another screen, and back', '^[?1049htext^[?1049l', '', ''],
  ['no cursor, and lines that are not wrapped', '^[?25l^[?7l', '^[?7h^[?25h', '^[?7l^[?25l'],
  ['the cursor is shown', '^[?25h', '', ''],
  ['a mouse, in one sequence, as ncurses has it', '^[?1006;1000h', '^[?1000l^[?1006l', '^[?1000h^[?1006h'],
  ['a part of it taken back', '^[?1006;1000h^[?1000l', '^[?1006l', '^[?1006h'],
  ['numbers that are none of the table', '^[?10490h^[?49h^[?h^[1049h^[?99999999999999999999991049h', '', ''],
  ['a keypad', '^=', '^>', '^='],
  ['a keypad, and back', '^=^>', '', ''],
  ['colours', '^[1;31mred', '^[m', ''],
  ['colours, and back', '^[1;31mred^[0m', '', ''],
  ['colours, and back by no number', '^[31mred^[m', '', ''],
  ['colours whose first takes all back', '^[0;31mred', '^[m', ''],
  ['margins', '^[2;20r', '^7^[r^8', ''],
  ['margins, and back', '^[2;20r^[r', '', ''],
  ['a terminal that was reset', '^[?1049h^[?25l^[31m^=^c', '', ''],
  ['a sequence that another begins in', '^[?10^[?1049h', '^[?1049l', '^[?1049h'],
  ['a private one of another kind', '^[>1049h^[?1049$p^[?1049n', '', ''],
  [
    'what vim writes',
    '^[?1049h^[22;0;0t^[?1h^=^[?2004h^[1;24r^[?12h^[?12l^[27m^[m',
    '^[?1049l^7^[r^8^[?1l^[?2004l^>',
    '^[?1049h^[?1h^[?2004h^=',
  ],
]
for (const [what, shown, undo, redo] of cases)
  test(what, () => {
    const bytes = shown.replaceAll('^', '\x1b')
    assert.deepEqual(sent([bytes]), [undo, redo])
    assert.deepEqual(sent([...bytes]), [undo, redo], 'in pieces')
    assert.deepEqual(sent([bytes], false), ['', ''], 'not a terminal')
  })
