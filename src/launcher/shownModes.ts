/**
 * What a command changes of the terminal that shows it, beyond termios(3): another screen, no cursor, a mouse that is told of, colours.
 * The terminal keeps these by itself, and a command that is killed leaves them. So the monitor reads them from what it hands on, and
 * undoes what is left at the end. A terminal is sent nothing about a mode that the command has not changed.
 *
 * The sequences are those of xterm, https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, which other terminals and tmux(1) follow.
 */
import { routine } from '../assembly/routine.js'
import { own, variables } from '../assembly/variables.js'
import { TC } from '../kernel/flags.js'
import { structs } from '../kernel/structs.js'
import { firstError, type Slot } from '../machine/instruction.js'
import type { LauncherContext } from './launcherContext.js'

interface Mode {
  /** What gives the terminal its usual state. */
  readonly undo: string
  /** What changes it again. Colours and the like are the command's to write. */
  readonly redo?: string
  /** The number of a private mode: `ESC [ ? NUMBER h` sets it. */
  readonly number?: number
  /** It is set as long as it is not reset. */
  readonly usual?: true
}

const isSetUnlessChanged = (number: number): Mode => ({
  ...{ number, usual: true },
  ...{ undo: `\x1b[?${number}h`, redo: `\x1b[?${number}l` },
})
const isResetUnlessChanged = (number: number): Mode => ({ number, undo: `\x1b[?${number}l`, redo: `\x1b[?${number}h` })

const keypad: Mode = { undo: '\x1b>', redo: '\x1b=' }
const colours: Mode = { undo: '\x1b[m' }
/** To set the margins moves the cursor, which is kept. */
const margins: Mode = { undo: '\x1b7\x1b[r\x1b8' }
const modes: readonly Mode[] = [
  // The alternate screen: it goes first, and the others are undone on the screen that stays.
  ...[47, 1047, 1049].map(isResetUnlessChanged),
  margins,
  colours,
  // Lines that are wrapped; the cursor.
  ...[7, 25].map(isSetUnlessChanged),
  // Cursor keys of applications; the mouse, the focus, and how they are told; marks around what is pasted; output held back.
  ...[1, 9, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 2004, 2026].map(isResetUnlessChanged),
  keypad,
]
const bitOf = (mode: Mode) => 2 ** modes.indexOf(mode)
const usual = modes.filter((mode) => mode.usual).reduce((sum, mode) => sum + bitOf(mode), 0)

/** `shows`: whether there is a terminal. `set`: a bit for each mode. `given`: the terminal is another job's now. */
const state = variables('shows', 'set', 'given')
/** How far into a sequence the last byte was, and what it has told until then: a number, and the bits of those before. */
const read = variables('stage', 'number', 'chosen', 'private')
const stages = { text: 0, escape: 1, control: 2 } as const

/** In the monitor, while standard output is the caller's. */
export function lookForScreen(c: LauncherContext): void {
  const { b } = c
  const { shows, set, given } = state(b)
  b.move(set, usual)
  b.move(given, 0)
  b.move(shows, 0)
  b.move(read(b).stage, stages.text)
  c.attempt('ioctl', 1, TC.GETS, b.reserve(structs.termios.size))
  b.when(c.result, 'lt', firstError, () => b.move(shows, 1))
}

/** Of bytes that are handed on. */
export const noteShown = routine('noteShown', { takes: ['at', 'left'] }, (c: LauncherContext, { at, left }) => {
  const { b } = c
  const { shows, set } = state(b)
  const { stage, number, chosen, private: isPrivate } = read(b)
  const [byte, digit] = b.temporaries(2)
  const is = (character: string, then: () => void) => b.when(byte, 'eq', character.charCodeAt(0), then)
  const change = (mode: Mode) => b.compute(set, set, 'or', bitOf(mode))
  const undo = (mode: Mode) => b.compute(set, set, 'and', ~bitOf(mode) >>> 0)
  b.loop(({ leave, again }) => {
    b.when(shows, 'eq', 0, leave)
    b.when(left, 'eq', 0, leave)
    b.load(byte, 8, at)
    b.compute(at, at, 'add', 1)
    b.compute(left, left, 'sub', 1)
    is('\x1b', () => {
      b.move(stage, stages.escape)
      again()
    })
    b.when(stage, 'eq', stages.text, again)
    b.when(stage, 'eq', stages.escape, () => {
      b.move(stage, stages.text)
      is('[', () => {
        b.move(stage, stages.control)
        for (const slot of [number, chosen, isPrivate]) b.move(slot, 0)
      })
      is('=', () => change(keypad))
      is('>', () => undo(keypad))
      // Back to what it was when it was switched on.
      is('c', () => b.move(set, usual))
      again()
    })
    is('?', () => {
      b.move(isPrivate, 1)
      again()
    })
    b.compute(digit, byte, 'sub', '0'.charCodeAt(0))
    b.when(digit, 'lt', 10, () => {
      b.compute(number, number, 'mul', 10)
      b.compute(number, number, 'add', digit)
      again()
    })
    for (const mode of modes)
      if (mode.number !== undefined)
        b.when(number, 'eq', mode.number, () => b.compute(chosen, chosen, 'or', bitOf(mode)))
    is(';', () => {
      b.move(number, 0)
      again()
    })
    b.move(stage, stages.text)
    b.when(isPrivate, 'ne', 0, () => {
      is('h', () => b.compute(set, set, 'or', chosen))
      is('l', () => {
        b.compute(chosen, chosen, 'xor', 0xffffffff)
        b.compute(set, set, 'and', chosen)
      })
      again()
    })
    for (const [end, mode] of [
      ['m', colours],
      ['r', margins],
    ] as const)
      is(end, () => {
        undo(mode)
        b.when(number, 'ne', 0, () => change(mode))
      })
  })
})

/** Rows of a bit, and of a text and its length, as {@link sendChanged} reads them. */
const rowsOf = (how: 'undo' | 'redo') =>
  own(({ b }: LauncherContext) => {
    const rows = modes.flatMap((mode) => {
      const { [how]: text = '' } = mode
      return text === '' ? [] : [bitOf(mode), b.text(text), text.length]
    })
    return b.table([...rows, 0])
  })
const undoing = rowsOf('undo')
const redoing = rowsOf('redo')

/** Best effort: what a terminal that takes no more does not get is lost. */
const sendChanged = routine('sendChanged', { takes: ['to', 'row'] }, (c: LauncherContext, { to, row }) => {
  const { b } = c
  const [changed, bit, text, length] = b.temporaries(4)
  b.compute(changed, state(b).set, 'xor', usual)
  b.loop(({ leave }) => {
    b.load(bit, 32, row)
    b.when(bit, 'eq', 0, leave)
    b.load(text, 32, row, 4)
    b.load(length, 32, row, 8)
    b.compute(row, row, 'add', 12)
    b.compute(bit, bit, 'and', changed)
    b.when(bit, 'ne', 0, () => c.attempt('write', to, text, length))
  })
})

/** The caller's job goes on, or another has the terminal. */
export function undoShown(c: LauncherContext, to: Slot): void {
  const { b } = c
  b.when(state(b).given, 'eq', 0, () => {
    b.move(state(b).given, 1)
    sendChanged(c, { to, row: undoing(c) })
  })
}

/** The command has the terminal again. */
export function redoShown(c: LauncherContext, to: Slot): void {
  const { b } = c
  b.when(state(b).given, 'ne', 0, () => {
    b.move(state(b).given, 0)
    sendChanged(c, { to, row: redoing(c) })
  })
}
